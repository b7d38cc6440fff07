"""Which lot a session is of, and how many are left there. A session's own date decides, never when it was booked."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta

from services.packages.rules import NotActive
from services.packages.tables import LedgerEntry, Lot, Package
from shared.errors import Conflict
from shared.events import Part
from shared.schedule import due_date, period_count, period_of


class BelowNothing(Conflict):
    """That would leave fewer sessions than are held and used."""


class NothingToCount(Conflict):
    """A post-bill package has no session count to adjust."""


class NoPeriod(Conflict):
    """No period of the package runs today whose sessions could be adjusted."""


class SessionsAdjusted(Part):
    """Staff added sessions, or took some away; a fact of packages alone. Without a period: in the one stock."""

    sessions: int
    period_index: int | None


@dataclass(frozen=True)
class Window:
    """The dates of one period: from `first_date` until the day before `next_date`, or for ever."""

    period_index: int
    first_date: date
    next_date: date | None


@dataclass(frozen=True)
class Supply:
    """What `left` must know of a package's rows, for one date.

    Reset: the lot of the date's period, if it is there, and how many sessions dated in the period are `taken` (held,
    used or ahead). Add: the dates of all sessions that are `ahead`.
    """

    lot: Lot | None = None
    taken: int = 0
    ahead: tuple[date, ...] = ()


@dataclass(frozen=True)
class Left:
    """How many sessions are left for a date (none: they are only counted), and the last date of their lot."""

    sessions: int | None
    last_date: date | None = None
    is_ahead: bool = False

    @property
    def is_short(self) -> bool:
        return self.sessions is not None and self.sessions < 1


def is_recurring(package: Package) -> bool:
    """Whether periods bring its sessions."""
    return package.terms.form == "recurring" and not package.post_bill


def resets(package: Package) -> bool:
    """Whether unused sessions are lost when their period ends (OE-07)."""
    return is_recurring(package) and package.terms.rollover == "reset"


def _due(package: Package, period_index: int) -> date:
    """The date on which a period falls due; one beyond the calendar never does."""
    if package.terms.frequency is None:
        raise ValueError("only a recurring package has periods")
    try:
        return due_date(package.first_due_date, package.terms.frequency, period_index)
    except (OverflowError, ValueError):
        return date.max


def _last_period(package: Package) -> int | None:
    terms = package.terms
    return period_count(terms.frequency, terms.term_weeks or 0) if terms.frequency else 1


def period_on(package: Package, day: date) -> int | None:
    """The period that a session on this date is of.

    After a fixed term there is none under Reset; under Add what is left is used up in the last one (R-12).
    """
    if not is_recurring(package) or package.terms.frequency is None:
        return 1
    period_index = period_of(package.first_due_date, package.terms.frequency, day)
    last = _last_period(package)
    if last is None or period_index <= last:
        return period_index
    return None if resets(package) else last


def window(package: Package, period_index: int) -> Window:
    """The dates that are of a period; the first begins with the package (R-11, R-12)."""
    first = package.start_date if period_index == 1 else _due(package, period_index)
    if not is_recurring(package):
        return Window(period_index, first, None)
    endless = period_index == _last_period(package) and not resets(package)
    return Window(period_index, first, None if endless else _due(package, period_index + 1))


def lot_of(package: Package, period_index: int) -> Lot:
    """The sessions that a period brings: all at once at the sale, or the period's (CC-05, CC-08, CC-15, CC-17)."""
    dates = window(package, period_index)
    return Lot(
        package_id=package.package_id,
        period_index=period_index,
        business_id=package.business_id,
        valid_from=dates.first_date,
        valid_to=dates.next_date if resets(package) else None,
        size=package.terms.session_count or 0,
        adjusted=0,
        forfeited=0,
        ended=False,
    )


def entered_period(package: Package, day: date) -> int | None:
    """The lot that a session on this date is entered for: its period's under Reset, else the one stock."""
    return period_on(package, day) if resets(package) else None


def left(package: Package, day: date, supply: Supply) -> Left:
    """How many sessions can still be held for a date; the only judge of it.

    Reset: what the date's own period has, or will bring, less what is taken there. Add: what is there and will have
    come by the end of every period from the date's on, less what is held against it; the least of them counts
    (R-12, R-13). Neither depends on the order of booking.
    """
    if package.post_bill:
        return Left(None)
    if not is_recurring(package):
        return Left(package.available)
    period_index = period_on(package, day)
    if period_index is None:
        return Left(0)
    is_ahead = period_index > package.periods_opened
    if not resets(package):
        return Left(_least(package, supply, period_index), is_ahead=is_ahead)
    next_date = window(package, period_index).next_date
    return Left(
        _size(package, supply, is_ahead) - supply.taken,
        last_date=None if next_date is None else next_date - timedelta(days=1),
        is_ahead=is_ahead,
    )


def _size(package: Package, supply: Supply, is_ahead: bool) -> int:
    if is_ahead:
        return package.terms.session_count or 0
    return supply.lot.size + supply.lot.adjusted - supply.lot.forfeited if supply.lot else 0


def _least(package: Package, supply: Supply, period_index: int) -> int:
    """The least that is left at the end of any period from this one on, once all that is held ahead is taken.

    Between the periods that something is held against it only grows, so that these are enough to look at.
    """
    opened, each = package.periods_opened, package.terms.session_count or 0
    wanted = Counter(period_on(package, day) or 0 for day in supply.ahead)
    ends = {max(period_index, opened)} | {period for period in wanted if period >= period_index}
    return min(
        package.available + (end - opened) * each - sum(n for period, n in wanted.items() if period <= end)
        for end in ends
    )


def lost(lot: Lot, taken: int) -> int:
    """What a lot forfeits once its last day is billed: all that is neither used nor held (OE-09, R-14).

    What is held is lost if it comes back later.
    """
    return max(0, lot.size + lot.adjusted - lot.forfeited - taken)


def adjust(package: Package, supply: Supply, *, sessions: int, today: date) -> SessionsAdjusted:
    """Staff add sessions or take some away, in today's lot or the one stock; never what is held or used (PB-12)."""
    if package.state != "active":
        raise NotActive
    if package.post_bill:
        raise NothingToCount
    if resets(package):
        if supply.lot is None or supply.lot.ended:
            raise NoPeriod
        free = left(package, today, supply).sessions or 0
    elif is_recurring(package):
        free = _least(package, supply, package.periods_opened)
    else:
        free = package.available
    if free + sessions < 0:
        raise BelowNothing(f"{free} are available.")
    return SessionsAdjusted(sessions=sessions, period_index=entered_period(package, today))


def opens(package: Package, *, period_index: int, due_date: date) -> bool:
    """Whether a period that has fallen due brings its sessions: once, and never to a package closed before (R-09)."""
    closed_before = package.closed_date is not None and package.closed_date < due_date
    return period_index > package.periods_opened and not closed_before


def explain(entry: LedgerEntry) -> int:
    """What an entry of the ledger adds to the sessions available (OE-19)."""
    return {"held": -1, "consumed": 0, "returned": 1, "forfeited": -1}.get(entry.kind, 1) * entry.quantity
