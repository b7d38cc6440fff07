"""The plot of the summary: week by week, how many sessions were used, and what was invoiced and came in."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from rich.text import Text

from deploy.local.demo.outcome import Seen, in_state
from deploy.local.demo.wording import money

WEEK = "week of  "
HEADS = ("sessions used", "invoiced", "paid")
NUMBERS = (3, 9, 9)
"""How wide the numbers of each are."""
STYLES = ("cyan", "yellow", "green")

Weeks = Counter[date]
"""A number for each week, by its Monday."""


def plot(seen: Seen, *, mark: str, width: int) -> Iterator[Text]:
    """A row for each week that was lived, three bars in each; money is drawn to one scale."""
    longest = max((width - len(WEEK) - sum(NUMBERS) - 3 * len(HEADS)) // len(HEADS), 5)
    series = (_used(seen), _invoiced(seen), _paid(seen))
    greatest = [max(counts.values(), default=0) for counts in series]
    most = (greatest[0], max(greatest[1:]), max(greatest[1:]))
    heads = (f"{head:<{number + longest + 3}}" for head, number in zip(HEADS, NUMBERS, strict=True))
    yield Text(f"  {WEEK}{''.join(heads)}".rstrip(), style="bold")
    for week in sorted({_monday(day) for day in seen.days}):
        row = Text(f"{week.day:>2} {week:%b}   ")
        for n, counts in enumerate(series):
            says = money(counts[week]) if n else str(counts[week])
            row.append(f"{says:>{NUMBERS[n]}} ")
            row.append(f"{mark * bar(counts[week], most[n], longest):<{longest + 2}}", style=STYLES[n])
        row.rstrip()
        yield row


def bar(value: int, most: int, longest: int) -> int:
    """How long the bar of a value is, where the greatest has the longest: what is there at all can be seen."""
    return max(round(value * longest / most), 1) if value > 0 else 0


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _used(seen: Seen) -> Weeks:
    zone = ZoneInfo(seen.zone)
    used = in_state(seen.bookings, "attended", "no_show", "late_cancelled")
    return Counter(_monday(datetime.fromisoformat(row["starts_at"]).astimezone(zone).date()) for row in used)


def _invoiced(seen: Seen) -> Weeks:
    return _sums((invoice["issued_date"], invoice["total_minor"]) for invoice in seen.invoices)


def _paid(seen: Seen) -> Weeks:
    """What came in, less what was taken back: the cash of the journal, on its dates."""
    return _sums(
        (entry["entry_date"], posting["amount_minor"])
        for entry in seen.journal
        for posting in entry["postings"]
        if posting["account"] == "cash"
    )


def _sums(amounts: Iterable[tuple[str, int]]) -> Weeks:
    sums: Weeks = Counter()
    for day, amount_minor in amounts:
        sums[_monday(date.fromisoformat(day))] += amount_minor
    return sums
