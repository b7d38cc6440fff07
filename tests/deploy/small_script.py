"""A small script for the demo's tests: a studio with two clients, three packages and eight days."""

from pathlib import Path

SMALL = {
    "business.json": '{"name": "Studio", "zone": "Australia/Sydney", "currency": "AUD", "email": "desk@studio.test"}',
    "staff.csv": "name,practitioner,seller\nKim,yes,yes\nSam,no,no\n",
    "services.csv": "name,minutes\nTraining,60\n",
    "templates.json": """[
  {"name": "Ten", "billing_mode": "pre_bill", "form": "paid_in_full", "services": ["Training"], "session_count": 10,
   "price": 500.00},
  {"name": "After use", "billing_mode": "post_bill", "services": ["Training"], "late_cancel_hours": 24,
   "tiers": [{"at_least": 1, "rate": "60.05"}]},
  {"name": "Weekly", "billing_mode": "pre_bill", "form": "recurring", "services": ["Training"], "session_count": 2,
   "price": "50.00", "frequency": "weekly", "rollover": "reset", "term_weeks": 0}
]""",
    "clients.csv": "name,email\nAna,ana@clients.example\nBo,bo@clients.example\n",
    "mandates.csv": (
        "client,starts_on,mandate,account_number,scenario,cause\n"
        "Ana,2022-09-09,signed,,collects,\n"
        "Bo,2022-09-09,registered,400218730,decline,insufficient_funds\n"
        "Bo,2022-09-13,,,late_return,\n"
    ),
    "sales.csv": (
        "package,client,template,sold_on,sold_by,auto_pay,price,first_due_date,auto_renew,close_on\n"
        "A1,Ana,After use,2022-09-09,Kim,yes,,,yes,2022-09-10\n"
        "B1,Bo,Ten,2022-09-09,,yes,450.00,,,\n"
        "B2,Bo,Weekly,2022-09-09,,no,,2022-09-09,no,\n"
    ),
    "payments.csv": ("client,package,paid_on,amount,method\nBo,B1,2022-09-10,100.00,cash\nBo,B2,2022-09-16,,card\n"),
    "bookings.csv": (
        "client,package,service,practitioner,booked_on,booked_by,starts_at,outcome,cancelled_on\n"
        "Ana,A1,Training,Kim,2022-09-09,client,2022-09-09 09:00,attended,\n"
        "Ana,A1,Training,Kim,2022-09-09,client,2022-09-10 09:00,cancelled,2022-09-10\n"
        "Bo,B1,Training,Kim,2022-09-09,desk,2022-09-09 10:00,no_show,\n"
        "Bo,B1,Training,Kim,2022-09-09,desk,2022-09-12 10:00,cancelled,2022-09-10\n"
        "Bo,,Training,Kim,2022-09-09,client,2022-09-12 11:00,,\n"
        "Ana,A1,Training,Kim,2022-09-10,desk,2022-09-12 11:30,refused,\n"
    ),
}


def written(folder: Path, **changes: str | bytes | None) -> Path:
    """A folder of the small script, some of its files changed or left out; a name is written with `_` for the dot."""
    for file, text in SMALL.items():
        content = changes.get(file.replace(".", "_"), text)
        if content is not None:
            (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder
