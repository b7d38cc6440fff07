"""What the demo came to: asked of the services, of the bank's own log and of the mail server, and compared."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.local.across import ACROSS
from deploy.local.demo.life import Life, Refusal
from deploy.local.observer import DEFINITIONS

Items = Sequence[Mapping[str, Any]]

SENT = ("submitted", "settled", "declined")
AT_THE_BANK = {
    "submitted": ("submitted",),
    "settled": ("confirmed", "paid_out"),
    "declined": ("failed",),
}
"""What directdebit's states are called by the bank."""


@dataclass(frozen=True)
class Seen:
    """What each part says by itself; amounts in minor units."""

    names: Mapping[str, str]
    """The name of each client, by id."""
    packages: Items
    bookings: Items
    history: Items
    """Every entry of every package's session ledger."""
    invoices: Items
    debits: Items
    payments: Items
    """The bank's own log, as far as our mandates go."""
    messages: Items
    delivered: Sequence[str]
    """The Message-ID of each mail that came, once for each time."""
    violations: Mapping[str, Sequence[Any]]
    refusals: Sequence[Refusal]


@dataclass(frozen=True)
class Tie:
    """A number that several parts know, each by its own books."""

    what: str
    views: Mapping[str, int]
    money: bool = False

    @property
    def holds(self) -> bool:
        """Whether they all say the same."""
        return len(set(self.views.values())) == 1


def invariants() -> int:
    """How many there are: those of each service, that nothing is parked in it, and those across services."""
    return sum(len(service.invariants) + 1 for service in DEFINITIONS.values()) + len(ACROSS)


async def look(life: Life) -> Seen:
    """Ask everybody."""
    doors = life.doors
    packages, bookings, issued, debits, messages = await asyncio.gather(
        doors.everything("/packages/v1/packages"),
        doors.everything("/booking/v1/bookings"),
        doors.everything("/billing/v1/invoices"),
        doors.everything("/directdebit/v1/debits"),
        doors.everything("/notify/v1/messages"),
    )
    log = await doors.bank_log()
    violations = await life.observer.violations(doors.business_id)
    ledgers = await asyncio.gather(
        *(doors.everything(f"/packages/v1/packages/{package['package_id']}/history") for package in packages)
    )
    invoices = await asyncio.gather(
        *(doors.make("GET", f"/billing/v1/invoices/{invoice['invoice_id']}") for invoice in issued)
    )
    order = [life.ids.packages.get(sale.package) for sale in life.books.sales]
    ours = {message["message_id"] for message in messages}
    arrived = [mail.message_id.strip("<>").partition("@")[0] for mail in doors.system.mail.messages]
    return Seen(
        names={life.ids.clients[client.name]: client.name for client in life.books.clients},
        packages=sorted(packages, key=lambda package: order.index(package["package_id"])),
        bookings=bookings,
        history=[entry for ledger in ledgers for entry in ledger],
        invoices=invoices,
        debits=debits,
        payments=[payment for payment in log if payment["links"]["mandate"] in life.mandates],
        messages=messages,
        delivered=[message_id for message_id in arrived if message_id in ours],
        violations=violations,
        refusals=life.refusals,
    )


def total(items: Iterable[Mapping[str, Any]], field: str) -> int:
    """The sum of a field."""
    return sum(item[field] for item in items)


def in_state(items: Items, *states: str, field: str = "state") -> Items:
    """The items in one of these states."""
    return [item for item in items if item[field] in states]


def ties(seen: Seen) -> list[Tie]:
    """What must be the same in all books, to the session, to the cent and to the mail."""
    kinds = Counter(entry["kind"] for entry in seen.history)
    returned = [booking for booking in in_state(seen.bookings, "cancelled") if booking["package_id"]]
    used = in_state(seen.bookings, "attended", "no_show", "late_cancelled")
    closed = {p["package_id"] for p in seen.packages if p["billing_mode"] == "post_bill" and p["state"] == "closed"}
    lines = [line for invoice in seen.invoices for line in invoice["lines"] if line["booking_id"]]
    return [
        Tie("sessions returned", {"booking": len(returned), "packages": kinds["returned"]}),
        Tie("sessions used", {"booking": len(used), "packages": kinds["consumed"]}),
        Tie(
            "sessions billed after use",
            {
                "booking": sum(booking["package_id"] in closed for booking in used),
                "packages": sum(p["consumed"] for p in seen.packages if p["package_id"] in closed),
                "billing": len(lines),
            },
        ),
        *_debits(seen),
        Tie("mails", {"notify": len(in_state(seen.messages, "sent")), "mail server": len(set(seen.delivered))}),
    ]


def _debits(seen: Seen) -> list[Tie]:
    """Each debit we know of is one payment of the bank's, with the same end; what it brought is what was paid."""
    billed = {
        "settled": total(seen.invoices, "total_minor") - total(seen.invoices, "open_minor"),
        "submitted": total(seen.invoices, "in_flight_minor"),
    }
    made = [
        Tie("debits", {"directdebit": len(in_state(seen.debits, *SENT)), "bank": len(seen.payments)}),
        Tie(
            "sent to the bank",
            {
                "directdebit": total(in_state(seen.debits, *SENT), "amount_minor"),
                "bank": total(seen.payments, "amount"),
            },
            money=True,
        ),
    ]
    for state, what in {"settled": "collected", "submitted": "in flight", "declined": "declined"}.items():
        views = {
            "directdebit": total(in_state(seen.debits, state), "amount_minor"),
            "bank": total(in_state(seen.payments, *AT_THE_BANK[state], field="status"), "amount"),
        }
        if state in billed:
            views["billing"] = billed[state]
        made.append(Tie(what, views, money=True))
    return made
