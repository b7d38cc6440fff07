"""What is owed, and when. Nothing here waits: a rule takes rows and values, and returns a fact or raises."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal
from uuid import UUID

from services.billing.tables import Account, BilledPackage, DebitFact, Instalment, Invoice, Standing, State
from shared.errors import Conflict
from shared.events.billing import CollectionFailed, CollectionRequested, DatedAmount, InvoiceIssued, InvoiceLine
from shared.events.catalog import Terms, Tier
from shared.events.directdebit import DebitDeclined
from shared.events.packages import PackageClosed, PackageSold, UsedSession
from shared.schedule import due_date, period_count

Label = Literal["scheduled", "due", "overdue", "paid_uncleared", "paid", "paid_final", "void"]
OUTCOMES = {"attended": "attended", "no_show": "no-show", "late_cancelled": "late cancelled"}
OWES_NOTHING = ("void", "waived")


class NotBillable(Conflict):
    """These terms do not say what is owed and when."""


class NoRate(Conflict):
    """No tier of the package gives a rate for so few sessions."""


@dataclass(frozen=True)
class Bill:
    """What an invoice will say, before it has a number."""

    lines: list[InvoiceLine]
    dated: list[tuple[date, int]]

    @property
    def total_minor(self) -> int:
        """The sum of the lines, and of the dated amounts."""
        return sum(line.amount_minor for line in self.lines)


# When, and how much


def split(total_minor: int, parts: int) -> list[int]:
    """Parts that differ by at most one minor unit, the larger first, and sum to the total (R-02)."""
    each, more = divmod(total_minor, parts)
    return [each + 1] * more + [each] * (parts - more)


def _dated(terms: Terms, first: date) -> list[tuple[date, int]]:
    """The dated amounts of a pre-billed sale. An open-ended one begins with its first period alone."""
    price, frequency = terms.price_minor, terms.frequency
    if price is None:
        raise NotBillable("There is no price.")
    if terms.form == "paid_in_full":
        return [(first, price)]
    if frequency is None:
        raise NotBillable("There is no frequency.")
    if terms.form == "instalments" and terms.instalment_count:
        amounts = split(price, terms.instalment_count)
    elif terms.form == "recurring":
        amounts = [price] * (period_count(frequency, terms.term_weeks or 0) or 1)
    else:
        raise NotBillable(f"The form is {terms.form}, and the number of instalments {terms.instalment_count}.")
    return [(due_date(first, frequency, index), amount) for index, amount in enumerate(amounts, start=1)]


# What is invoiced


def _bill(lines: list[InvoiceLine], dated: list[tuple[date, int]]) -> Bill | None:
    """No invoice asks for nothing, and no instalment does (R-30)."""
    owed = [(day, amount) for day, amount in dated if amount]
    return Bill(lines, owed) if owed else None


def bill_sale(sold: PackageSold) -> Bill | None:
    """A pre-billed sale makes one invoice with one line; a post-billed one makes none (CC-04, CC-09, CC-14, EZ-04)."""
    if sold.terms.post_bill:
        return None
    dated = _dated(sold.terms, sold.first_due_date)
    return _bill([InvoiceLine(description=sold.terms.name, amount_minor=sum(amount for _, amount in dated))], dated)


def rate(tiers: Sequence[Tier], counted: int) -> int:
    """The rate of each session, once so many are counted: that of the highest tier they reach (R-28)."""
    reached = [tier for tier in tiers if tier.at_least <= counted]
    if not reached:
        raise NoRate(f"{counted} sessions were counted.")
    return max(reached, key=lambda tier: tier.at_least).rate_minor


def bill_closure(package: BilledPackage, closed: PackageClosed, *, today: date) -> Bill | None:
    """A closed post-billed package owes a line per session used, all at the rate of the running total (EZ-21, R-28).

    Nothing used, nothing owed (R-30). What an earlier closure billed is not rated again (R-31).
    """
    if not (package.post_bill and closed.sessions):
        return None
    each = rate(closed.tiers, closed.counted_before + len(closed.sessions))
    used = sorted(closed.sessions, key=lambda session: (session.session_date, session.booking_id))
    lines = [_session_line(package, session, each) for session in used]
    return _bill(lines, [(today, each * len(lines))])


def _session_line(package: BilledPackage, session: UsedSession, rate_minor: int) -> InvoiceLine:
    return InvoiceLine(
        description=f"{package.name}: {session.session_date}, {OUTCOMES[session.outcome]}",
        amount_minor=rate_minor,
        booking_id=session.booking_id,
    )


def collect(package: BilledPackage, issued: InvoiceIssued, *, today: date) -> list[CollectionRequested]:
    """What is due is to be collected by debit, where the package pays by itself (EZ-11)."""
    if not package.auto_pay:
        return []
    return [
        CollectionRequested(
            instalment_id=part.instalment_id,
            version=1,
            target_minor=part.amount_minor,
            currency=issued.currency,
            collect_date=part.due_date,
            payer_id=issued.payer_id,
        )
        for part in issued.instalments
        if first_state(part, today=today) == "due"
    ]


def first_state(part: DatedAmount, *, today: date) -> State:
    """An instalment is due from its due date on, and scheduled before."""
    return "due" if part.due_date <= today else "scheduled"


# What debits bring


def newest(facts: Iterable[DebitFact]) -> dict[UUID, DebitFact]:
    """What is true now of each debit: the fact with its highest sequence, whatever came when (docs/decisions/0001)."""
    return {fact.debit_id: fact for fact in sorted(facts, key=lambda fact: fact.sequence)}


def stand(instalment: Instalment) -> Standing:
    """How an instalment stands by the newest facts of its debits; what a debit has touched has been due."""
    now = newest(instalment.debit_facts).values()
    owed = 0 if instalment.state in OWES_NOTHING else instalment.amount_minor
    open_minor = max(owed - sum(fact.collected_minor for fact in now), 0)
    state = instalment.state
    if state not in OWES_NOTHING and now:
        state = "due" if open_minor else "paid"
    return Standing(
        state=state,
        due_date=instalment.due_date,
        open_minor=open_minor,
        in_flight_minor=sum(fact.in_flight_minor for fact in now),
        provisional_minor=sum(fact.collected_minor for fact in now if not fact.final),
    )


def brings(known: Iterable[DebitFact], fact: DebitFact) -> int:
    """The cash that a fact adds to what its debit had brought; an older fact than the newest known adds none."""
    before = newest(known).get(fact.debit_id)
    if before is None:
        return fact.collected_minor
    return fact.collected_minor - before.collected_minor if fact.sequence > before.sequence else 0


def fail(invoice: Invoice, instalment: Instalment, fact: DebitFact, declined: DebitDeclined) -> CollectionFailed | None:
    """The first decline of a debit is told, while the instalment is owed: once, in whatever order facts come.

    No debit follows a declined one yet, so every failure is final.
    """
    declines = [f for f in instalment.debit_facts if f.debit_id == fact.debit_id and f.state == "declined"]
    open_minor = stand(instalment).open_minor
    if declines != [fact] or not open_minor:
        return None
    return CollectionFailed(
        instalment_id=instalment.instalment_id,
        invoice_id=invoice.invoice_id,
        invoice_number=invoice.number,
        debit_id=declined.debit_id,
        attempt_no=fact.attempt_no,
        client_id=invoice.client_id,
        payer_id=invoice.payer_id,
        amount_minor=open_minor,
        currency=declined.currency,
        reason_class=declined.reason_class,
        final=True,
    )


# What the journal says


@dataclass(frozen=True)
class Entry:
    """Money moving between accounts because of an invoice, or of a fact about its debits."""

    invoice_id: UUID
    currency: str
    moves: dict[Account, int]
    debit_id: UUID | None = None
    instalment_id: UUID | None = None
    sequence: int | None = None


def owe(issued: InvoiceIssued) -> Entry:
    """An invoice makes its total receivable."""
    total = issued.total_minor
    return Entry(issued.invoice_id, issued.currency, {"receivable": total, "sales": -total})


def receive(invoice: Invoice, fact: DebitFact, cash_minor: int) -> Entry:
    """Cash that a debit brings, or takes back when negative, is receivable no more, or again."""
    moves: dict[Account, int] = {"cash": cash_minor, "receivable": -cash_minor}
    return Entry(invoice.invoice_id, invoice.currency, moves, fact.debit_id, fact.instalment_id, fact.sequence)


# What a reader sees


def label(standings: Sequence[Standing], *, today: date) -> Label:
    """How an instalment, an invoice or a package reads: by what is open, in flight, and final (R-33).

    Open and not in flight: by the earliest such due date. In flight: paid, but uncleared. Else paid, and final
    once no money of it is provisional.
    """
    owed = [standing for standing in standings if standing.state not in OWES_NOTHING]
    if not owed:
        return "void"
    uncovered = [standing.due_date for standing in owed if standing.open_minor > standing.in_flight_minor]
    if uncovered:
        first = min(uncovered)
        return "scheduled" if first > today else "due" if first == today else "overdue"
    if any(standing.open_minor for standing in owed):
        return "paid_uncleared"
    return "paid" if any(standing.provisional_minor for standing in owed) else "paid_final"


def may_see(owed: Invoice | BilledPackage, client_id: UUID | None) -> bool:
    """Staff see what the whole business is owed, a client what they pay or what is for them."""
    return client_id is None or client_id in (owed.client_id, owed.payer_id)
