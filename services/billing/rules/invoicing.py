"""What is invoiced, and when it falls due. Nothing here waits: rows and values in, facts out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from services.billing.tables.invoices import OWES_NOTHING, Instalment, State
from services.billing.tables.packages import BilledPackage
from shared.errors import Conflict
from shared.events.billing import CollectionRequested, InvoiceLine, PeriodOpened
from shared.events.catalog import Terms, Tier
from shared.events.packages import PackageClosed, PackageSold, UsedSession
from shared.schedule import due_date, period_count

OUTCOMES = {"attended": "attended", "no_show": "no-show", "late_cancelled": "late cancelled"}


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


# What falls due


def next_due(package: BilledPackage, index: int) -> date | None:
    """When a period falls due, from the second one on; None where a recurring package has no such period.

    A fixed term has so many periods; a package that has ended opens none after that day (R-15, G-06).
    """
    if package.form != "recurring" or package.frequency is None:
        return None
    count = period_count(package.frequency, package.term_weeks or 0)
    due = due_date(package.first_due_date, package.frequency, index)
    beyond = (count is not None and index > count) or (package.ended_date is not None and due > package.ended_date)
    return None if beyond else due


def open_period(package: BilledPackage) -> tuple[PeriodOpened, Bill | None, date | None]:
    """The next period of a package: it brings sessions, an invoice where the package is open-ended, and a next date.

    The day's run does this in SQL for thousands at once (`actions/falling_due.py`); a property test holds it to this.
    (OE-03, OE-04, OE-16, OE-17, G-06, R-09.)
    """
    if package.next_due_date is None:
        raise NotBillable("It has no next period.")
    opened = PeriodOpened(
        package_id=package.package_id, period_index=package.next_index, due_date=package.next_due_date
    )
    bill = None
    if package.open_ended and package.price_minor:
        line = InvoiceLine(description=package.name, amount_minor=package.price_minor)
        bill = _bill([line], [(package.next_due_date, package.price_minor)])
    return opened, bill, next_due(package, package.next_index + 1)


def first_state(due: date, *, billed_until: date) -> State:
    """An instalment falls due when its date is billed; one that comes after that is due at once."""
    return "due" if due <= billed_until else "scheduled"


def ask(instalment: Instalment, *, auto_pay: bool, payer_id: UUID, currency: str) -> CollectionRequested | None:
    """What is to be collected of an instalment that fell due: its amount, less what was settled otherwise (EZ-11).

    Nothing where the package does not pay by itself. Asked for first when it is due, and again, under the next
    version, when that target has changed; what debits bring or lose never changes it (R-40).
    """
    owed = 0 if instalment.state in OWES_NOTHING else instalment.amount_minor - instalment.paid_minor
    target_minor = owed if auto_pay else 0
    if instalment.collection_version:
        news = target_minor != instalment.target_minor
    else:
        news = auto_pay and instalment.state == "due"
    if not news:
        return None
    return CollectionRequested(
        instalment_id=instalment.instalment_id,
        version=instalment.collection_version + 1,
        target_minor=target_minor,
        currency=currency,
        collect_date=instalment.due_date,
        payer_id=payer_id,
    )
