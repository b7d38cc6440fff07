"""How money owed stands: what debits and payments bring, what the journal says of it, how it reads."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal
from uuid import UUID

from services.billing.tables.invoices import OWES_NOTHING, Instalment, Invoice, Standing
from services.billing.tables.journal import Account
from services.billing.tables.packages import BilledPackage
from services.billing.tables.payments import DebitFact
from shared.errors import Invalid
from shared.events.billing import CollectionFailed, InstalmentOverdue

Label = Literal["scheduled", "due", "overdue", "paid_uncleared", "paid", "paid_final", "void"]
REMIND_AFTER = timedelta(days=3)
REMIND_WHO_IS_DEBITED_AFTER = timedelta(days=8)
"""Long enough for the longest weekend, on which no bank debits, and for a person to have confirmed the list."""


class NotYetPaid(Invalid):
    """A payment is recorded once it was made."""


class MoreThanOwed(Invalid):
    """The payment is more than is open of the invoice."""


# What debits bring


def newest(facts: Iterable[DebitFact]) -> dict[UUID, DebitFact]:
    """What is true now of each debit: the fact with its highest sequence, whatever came when (docs/decisions/0001)."""
    return {fact.debit_id: fact for fact in sorted(facts, key=lambda fact: fact.sequence)}


def stand(instalment: Instalment) -> Standing:
    """How an instalment stands by the newest facts of its debits, and by what was paid by hand.

    What a debit has touched has been due, and so has what was paid and is not any more.
    """
    now = newest(instalment.debit_facts).values()
    open_minor = max(owed(instalment) - brought(instalment), 0)
    state = instalment.state
    if state not in OWES_NOTHING:
        state = "paid" if not open_minor else "due" if now or state == "paid" else state
    return Standing(
        state=state,
        due_date=instalment.due_date,
        open_minor=open_minor,
        in_flight_minor=sum(fact.in_flight_minor for fact in now),
        provisional_minor=sum(fact.collected_minor for fact in now if not fact.final),
    )


def fail(invoice: Invoice, instalment: Instalment, fact: DebitFact) -> CollectionFailed | None:
    """That a debit was declined, returned or claimed is told once, at the first such fact, in whatever order they come.

    Not where it is known already how the debit went on, nor where nothing is owed. A claim is no matter of waiting:
    a person decides what follows (R-34, R-35).
    """
    known = [each for each in instalment.debit_facts if each.debit_id == fact.debit_id]
    open_minor = stand(instalment).open_minor
    overtaken = any(each.sequence > fact.sequence for each in known)
    if overtaken or any(each.told for each in known) or not open_minor:
        return None
    match fact.state:
        case "declined" | "returned" | "claimed" as what:
            return CollectionFailed(
                instalment_id=instalment.instalment_id,
                invoice_id=invoice.invoice_id,
                invoice_number=invoice.number,
                debit_id=fact.debit_id,
                attempt_no=fact.attempt_no,
                client_id=invoice.client_id,
                payer_id=invoice.payer_id,
                amount_minor=open_minor,
                currency=invoice.currency,
                what=what,
                reason_class=fact.reason_class or "hard",
                final=fact.next_attempt_date is None,
                next_attempt_date=fact.next_attempt_date,
            )
        case _:
            return None


def next_attempt(instalment: Instalment) -> date | None:
    """From when an instalment is debited again by itself: as its last debit said when it failed (R-35).

    None while money is on its way, and where nothing is owed or asked for any more.
    """
    stands = stand(instalment)
    if stands.in_flight_minor or not (stands.open_minor and instalment.target_minor):
        return None
    last = max(newest(instalment.debit_facts).values(), key=lambda fact: fact.attempt_no, default=None)
    return last.next_attempt_date if last else None


def remind(invoice: Invoice, instalment: Instalment, *, today: date) -> InstalmentOverdue | None:
    """A payer is reminded of what has been due for some days, once (CC-03).

    Not where a debit has ever been tried: its payer hears how that went. The day's run does this in SQL for thousands
    at once (`actions/reminding.py`); a property test holds it to this.
    """
    stands = stand(instalment)
    pause = REMIND_WHO_IS_DEBITED_AFTER if instalment.target_minor else REMIND_AFTER
    early = instalment.due_date + pause > today
    if stands.state != "due" or early or instalment.reminded_date or instalment.debit_facts:
        return None
    return InstalmentOverdue(
        instalment_id=instalment.instalment_id,
        invoice_id=invoice.invoice_id,
        invoice_number=invoice.number,
        client_id=invoice.client_id,
        payer_id=invoice.payer_id,
        due_date=instalment.due_date,
        amount_minor=stands.open_minor,
        currency=invoice.currency,
    )


def pay(instalments: Sequence[Instalment], amount_minor: int) -> dict[UUID, int]:
    """What a payment by hand covers of an invoice: its open parts, the earliest first. Raises MoreThanOwed.

    What is in flight by debit may be paid all the same; whatever comes twice is kept for the payer (R-37).
    """
    covers: dict[UUID, int] = {}
    left = amount_minor
    for instalment in sorted(instalments, key=lambda instalment: (instalment.due_date, instalment.position)):
        if part := min(left, stand(instalment).open_minor):
            covers[instalment.instalment_id] = part
            left -= part
    if left:
        raise MoreThanOwed(f"{amount_minor - left} is open.", field="amount_minor")
    return covers


def paid_on(paid_date: date, *, today: date) -> date:
    """The day on which money was handed over: today, or before. Raises NotYetPaid."""
    if paid_date > today:
        raise NotYetPaid(f"paid_date: today is {today}.", field="paid_date")
    return paid_date


def falls_away(package: BilledPackage, instalment: Instalment) -> bool:
    """Whether a close takes back what is owed: for periods that fall due after its day, as they bring no sessions.

    The first period's came with the sale, and all of a package that is not recurring; for those it stays owed (R-55).
    """
    if package.form != "recurring" or package.ended_date is None:
        return False
    of_first_period = instalment.invoice.period_index in (None, 1) and instalment.position == 1
    return not of_first_period and instalment.due_date > package.ended_date


def withdraw(instalment: Instalment) -> Standing:
    """Nothing is owed for an instalment any more; what it was paid stays the payer's."""
    return replace(stand(instalment), state="void", open_minor=0)


# What the journal says


@dataclass(frozen=True)
class Entry:
    """Money moving between accounts because of an invoice: it was issued, a debit or a payment came, it was voided."""

    invoice_id: UUID
    currency: str
    moves: dict[Account, int]
    instalment_id: UUID | None = None
    debit_id: UUID | None = None
    sequence: int | None = None
    payment_id: UUID | None = None


def position(owed_minor: int, brought_minor: int) -> dict[Account, int]:
    """How the accounts stand for something owed, and what was brought for it: beyond what is owed, it is the payer's.

    Debits are positive, credits negative; they sum to nothing.
    """
    covered = min(owed_minor, brought_minor)
    return {
        "sales": -owed_minor,
        "receivable": owed_minor - covered,
        "cash": brought_minor,
        "account_balance": covered - brought_minor,
    }


def moves(before: tuple[int, int], after: tuple[int, int]) -> dict[Account, int]:
    """What must be entered when (owed, brought) changes; nothing where nothing moves."""
    was, becomes = position(*before), position(*after)
    return {account: becomes[account] - was[account] for account in becomes if becomes[account] != was[account]}


def brought(instalment: Instalment) -> int:
    """All that was paid for an instalment, by hand and by debits, and is not lost again."""
    return instalment.paid_minor + sum(fact.collected_minor for fact in newest(instalment.debit_facts).values())


def owed(instalment: Instalment) -> int:
    """What is owed for an instalment in all, paid or not."""
    return 0 if instalment.state in OWES_NOTHING else instalment.amount_minor


# What a reader sees


def label(standings: Sequence[Standing], *, today: date) -> Label:
    """How an instalment, an invoice or a package reads: by what is open, in flight, and final (R-33).

    Open and not in flight: by the earliest such due date. In flight: paid, but uncleared. Else paid, and final
    once no money of it is provisional.
    """
    counted = [standing for standing in standings if standing.state not in OWES_NOTHING]
    if not counted:
        return "void"
    uncovered = [standing.due_date for standing in counted if standing.open_minor > standing.in_flight_minor]
    if uncovered:
        first = min(uncovered)
        return "scheduled" if first > today else "due" if first == today else "overdue"
    if any(standing.open_minor for standing in counted):
        return "paid_uncleared"
    return "paid" if any(standing.provisional_minor for standing in counted) else "paid_final"


def may_see(bill: Invoice | BilledPackage, client_id: UUID | None) -> bool:
    """Staff see what the whole business is owed, a client what they pay or what is for them."""
    return client_id is None or client_id in (bill.client_id, bill.payer_id)
