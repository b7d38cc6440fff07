"""The audit: of one business every fold and every law; of a system, each of its businesses."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from uuid import UUID

from deploy.audit.books import BankLog, Books
from deploy.audit.findings import Finding
from deploy.audit.folding.bills import bills
from deploy.audit.folding.bookings import bookings
from deploy.audit.folding.collected import collected
from deploy.audit.folding.copies import copies
from deploy.audit.folding.debits import debits
from deploy.audit.folding.holds import holds
from deploy.audit.folding.letters import letters
from deploy.audit.folding.packages import packages
from deploy.audit.laws.bank import bank
from deploy.audit.laws.invariants import invariants
from deploy.audit.laws.money import money
from deploy.audit.laws.payers import payers
from deploy.audit.laws.sessions import sessions
from deploy.audit.laws.telling import strangers, telling
from deploy.audit.reading import businesses, read_books, stretches
from deploy.audit.report import Report
from shared.database import Database
from shared.housekeeping import LOG_DAYS

AGAIN_AFTER_SECONDS = 60.0
CHECKS: tuple[Callable[[Books], Iterator[Finding]], ...] = (
    invariants,
    telling,
    copies,
    bookings,
    packages,
    holds,
    bills,
    collected,
    debits,
    letters,
    sessions,
    money,
    payers,
    bank,
)


def audit(books: Books) -> list[Finding]:
    """Everything that is wrong with a business, each thing once."""
    return sorted({finding for check in CHECKS for finding in _all_of(check, books)})


def _all_of(check: Callable[[Books], Iterator[Finding]], books: Books) -> Iterator[Finding]:
    """What a check finds; where the rows make no sense to it at all, that is what it finds."""
    try:
        yield from check(books)
    except Exception as error:  # noqa: BLE001 — corrupt rows may break any rule, and the other checks are to go on
        yield Finding("altered", check.__name__, "", "unknown", "unknown", "all of it", "sensible", repr(error)[:200])


AskBank = Callable[[UUID], Awaitable[BankLog | None]]
"""The bank's log of a business; None where it is not to be had."""


async def audit_all(
    urls: Mapping[str, str],
    ask_bank: AskBank,
    *,
    log_days: int = LOG_DAYS,
    grace: timedelta = timedelta(),
    again_after: float = AGAIN_AFTER_SECONDS,
    only: UUID | None = None,
) -> int:
    """Audit every business in the databases at these addresses, or one; say what is wrong. 0 if nothing is, else 1."""
    async with AsyncExitStack() as stack:
        databases = {name: Database(url, pool_size=1) for name, url in urls.items()}
        for database in databases.values():
            stack.push_async_callback(database.close)
        report = await _report(databases, ask_bank, log_days, grace, again_after, only)
    print("\n".join(report.lines()))  # noqa: T201 — it talks to a person
    return int(bool(report.findings))


async def _report(
    databases: Mapping[str, Database],
    ask_bank: AskBank,
    log_days: int,
    grace: timedelta,
    again_after: float,
    only: UUID | None,
) -> Report:
    """Each business by itself; what is found counts if it is found again a while later.

    The six databases are not read at one instant, and a system at work moves on in between: what was on its way at the
    first look is there at the second.
    """
    report = Report()

    async def look(business_id: UUID) -> tuple[Books, list[Finding]]:
        books = await read_books(databases, business_id, log_days=log_days, grace=grace)
        books.bank_log = await ask_bank(business_id)
        return books, audit(books)

    for business_id in [only] if only else await businesses(databases):
        books, findings = await look(business_id)
        if findings and again_after:
            await asyncio.sleep(again_after)
            books, again = await look(business_id)
            before = {finding.place for finding in findings}
            findings = [finding for finding in again if finding.place in before]
        report.add(books, findings)
    if only is None:
        await _strangers(databases, report, log_days=log_days)
    return report


async def _strangers(databases: Mapping[str, Database], report: Report, *, log_days: int) -> None:
    """Events that were heard and are in nobody's log, a stretch of time after the other."""
    async for known, inboxes in stretches(databases, log_days=log_days):
        report.findings += [(None, finding) for finding in strangers(known, inboxes)]
