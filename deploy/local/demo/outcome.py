"""What the demo came to: asked of the services, of the bank's own log and of the mail server, and compared."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from deploy.audit.laws.bank import end_at_the_bank
from deploy.audit.reading import DEFINITIONS
from deploy.local.demo.life import Life
from deploy.local.demo.people import Refusal

Items = Sequence[Mapping[str, Any]]

STATES = {
    "settled": "collected",
    "submitted": "in flight",
    "declined": "declined",
    "returned_by_bank": "returned",
    "claimed": "claimed",
}
"""The states of a debit that was sent, as the page calls them; what the bank has told of a payment has the same."""
LOST = ("declined", "returned_by_bank", "claimed")
BILLED = (
    "select envelope::json -> 'data' ->> 'business_date' as day from event_log"
    " where business_id = :id and type = 'billing.day_billed.v1'"
)


@dataclass(frozen=True)
class Seen:
    """What each part says by itself; amounts in minor units."""

    zone: str
    days: Sequence[date]
    """Every day that was lived."""
    billed: Sequence[str]
    """The date of each day that billing says it has billed."""
    names: Mapping[str, str]
    """The name of each client, by id."""
    packages: Items
    lots: Items
    bookings: Items
    history: Items
    """Every entry of every package's session ledger."""
    invoices: Items
    journal: Items
    debits: Items
    payments: Items
    """The bank's own log; the `end` of each is what the bank has told of it, `payer_id` who signed its mandate."""
    messages: Items
    delivered: Sequence[str]
    """The Message-ID of each mail that came, once for each time."""
    violations: Sequence[str]
    """The lines of the audit."""
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
    """How many there are, of all services."""
    return sum(len(service.invariants) for service in DEFINITIONS.values())


async def look(life: Life) -> Seen:
    """Ask everybody."""
    doors = life.doors
    packages, bookings, issued, journal, debits, messages = await asyncio.gather(
        doors.everything("/packages/v1/packages"),
        doors.everything("/booking/v1/bookings"),
        doors.everything("/billing/v1/invoices"),
        doors.everything("/billing/v1/journal"),
        doors.everything("/directdebit/v1/debits"),
        doors.everything("/notify/v1/messages"),
    )
    log = await life.observer.bank_log(doors.business_id)
    violations = await life.observer.violations(doors.business_id)
    ledgers = await asyncio.gather(
        *(doors.everything(f"/packages/v1/packages/{package['package_id']}/history") for package in packages)
    )
    lots = await asyncio.gather(
        *(doors.make("GET", f"/packages/v1/packages/{package['package_id']}/lots") for package in packages)
    )
    invoices = await asyncio.gather(
        *(doors.make("GET", f"/billing/v1/invoices/{invoice['invoice_id']}") for invoice in issued)
    )
    order = [package_id for sale in life.script.sales for package_id in life.ids.packages.get(sale.package, [])]
    first = life.script.days[0]
    ours = {message["message_id"] for message in messages}
    arrived = [mail.message_id.strip("<>").partition("@")[0] for mail in doors.system.mail.messages]
    return Seen(
        zone=life.script.business.zone,
        days=[first + timedelta(days=count) for count in range((life.lived - first).days + 1)],
        billed=await _billed(life),
        names={life.ids.clients[client.name]: client.name for client in life.script.clients},
        packages=sorted(packages, key=lambda package: order.index(package["package_id"])),
        lots=[lot for of_one in lots for lot in of_one["items"]],
        bookings=bookings,
        history=[entry for ledger in ledgers for entry in ledger],
        invoices=invoices,
        journal=journal,
        debits=debits,
        payments=[
            {
                **payment,
                "end": end_at_the_bank(payment, log.held),
                "payer_id": life.people.payers.get(payment["links"]["mandate"]),
            }
            for payment in log.payments
        ],
        messages=messages,
        delivered=[message_id for message_id in arrived if message_id in ours],
        violations=violations,
        refusals=life.people.refusals,
    )


async def _billed(life: Life) -> list[str]:
    """The days that billing has told to be billed."""
    return [row.day for row in await life.observer.rows("billing", BILLED, life.doors.business_id)]


def total(items: Iterable[Mapping[str, Any]], field: str) -> int:
    """The sum of a field."""
    return sum(item[field] for item in items)


def in_state(items: Items, *states: str, field: str = "state") -> Items:
    """The items in one of these states."""
    return [item for item in items if item[field] in states]


def collected(invoices: Items) -> dict[tuple[str, str], Mapping[str, Any]]:
    """The newest fact of each debit and instalment: what it says now is what the debit has brought."""
    facts = (fact for invoice in invoices for fact in invoice["debits"])
    in_order = sorted(facts, key=lambda fact: int(fact["sequence"]))
    return {(fact["debit_id"], fact["instalment_id"]): fact for fact in in_order}


def moved(seen: Seen) -> int:
    """How many times a session was held again, by the successor of the package that had held it."""
    held = [entry["booking_id"] for entry in seen.history if entry["kind"] == "held"]
    return len(held) - len(set(held))


def prepaid(packages: Items) -> Items:
    """The packages whose sessions are counted before they are used."""
    return [package for package in packages if package["billing_mode"] == "pre_bill"]


def ties(seen: Seen) -> list[Tie]:
    """What must be the same in all books, to the day, to the session, to the cent and to the mail."""
    days = {"the clock": len(seen.days), "billing": len(seen.billed), "each once": len(set(seen.billed))}
    mails = {"notify": len(in_state(seen.messages, "sent")), "mail server": len(set(seen.delivered))}
    return [Tie("days billed", days), *_sessions(seen), _paid(seen), Tie("mails", mails)]


def _sessions(seen: Seen) -> list[Tie]:
    """What came in, was used, came back and was lost is the same for whoever counts it."""
    kinds: Counter[str] = Counter()
    for entry in seen.history:
        kinds[entry["kind"]] += abs(entry["sessions"])
    held = {entry["booking_id"] for entry in seen.history if entry["kind"] == "held"}
    returned = [booking for booking in in_state(seen.bookings, "cancelled") if booking["booking_id"] in held]
    used = in_state(seen.bookings, "attended", "no_show", "late_cancelled")
    closed = {p["package_id"] for p in seen.packages if p["billing_mode"] == "post_bill" and p["state"] == "closed"}
    lines = [line for invoice in seen.invoices for line in invoice["lines"] if line["booking_id"]]
    return [
        Tie(
            "sessions allocated",
            {
                "packages": total(prepaid(seen.packages), "purchased"),
                "their lots": total(seen.lots, "size") + total(seen.lots, "adjusted"),
                "their ledger": kinds["allocated"] + kinds["adjusted"],
            },
        ),
        Tie("sessions used", {"booking": len(used), "packages": total(seen.packages, "consumed")}),
        Tie("sessions returned", {"booking": len(returned), "packages": kinds["returned"] - moved(seen)}),
        Tie(
            "sessions forfeited",
            {
                "packages": total(seen.packages, "forfeited"),
                "their lots": total(seen.lots, "forfeited"),
                "their ledger": kinds["forfeited"],
            },
        ),
        Tie(
            "sessions billed after use",
            {
                "booking": sum(booking["package_id"] in closed for booking in used),
                "packages": sum(p["consumed"] for p in seen.packages if p["package_id"] in closed),
                "billing": len(lines),
            },
        ),
    ]


def _paid(seen: Seen) -> Tie:
    """What came in, at the desk and by debit, is what is not open any more, and what the journal has as cash."""
    at_the_desk = total((payment for invoice in seen.invoices for payment in invoice["payments"]), "amount_minor")
    cash = (posting for entry in seen.journal for posting in entry["postings"] if posting["account"] == "cash")
    views = {
        "desk and debits": at_the_desk + total(collected(seen.invoices).values(), "collected_minor"),
        "invoices": total(seen.invoices, "total_minor") - total(seen.invoices, "open_minor"),
        "journal": total(cash, "amount_minor"),
    }
    return Tie("paid in all", views, money=True)


def by_state(seen: Seen) -> dict[str, tuple[Tie, Tie]]:
    """For each state of debits how many there are and what they come to: for directdebit, the bank and billing."""
    billed = {
        "settled": total(collected(seen.invoices).values(), "collected_minor"),
        "submitted": total(seen.invoices, "in_flight_minor"),
    }
    made = {}
    for state, says in STATES.items():
        ours, theirs = in_state(seen.debits, state), in_state(seen.payments, state, field="end")
        amounts = {"directdebit": total(ours, "amount_minor"), "bank": total(theirs, "amount")}
        if state in billed:
            amounts["billing"] = billed[state]
        counts = {"directdebit": len(ours), "bank": len(theirs)}
        made[state] = (Tie(f"debits {says}", counts), Tie(says, amounts, money=True))
    return made


def by_payer(seen: Seen) -> list[Tie]:
    """What came in by debit from each payer: for directdebit, the bank, and billing."""
    payers = {debit["payer_id"] for debit in seen.debits} | {payment["payer_id"] for payment in seen.payments}
    sums = []
    for payer_id in sorted(payers, key=str):
        invoices = [invoice for invoice in seen.invoices if invoice["payer_id"] == payer_id]
        views = {
            "directdebit": total(_of(payer_id, in_state(seen.debits, "settled")), "amount_minor"),
            "bank": total(_of(payer_id, in_state(seen.payments, "settled", field="end")), "amount"),
            "billing": total(collected(invoices).values(), "collected_minor"),
        }
        sums.append(Tie(f"collected of {seen.names.get(payer_id, 'nobody we know')}", views, money=True))
    return sums


def _of(payer_id: str, items: Items) -> Items:
    return [item for item in items if item["payer_id"] == payer_id]
