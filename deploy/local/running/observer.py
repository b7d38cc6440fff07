"""Looks into the six databases of a running system: is it quiet, was anything lost, what does the audit say?"""

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import text

from deploy.audit.auditing import audit
from deploy.audit.books import BankLog, Books
from deploy.audit.reading import SUBSCRIPTIONS, read_books
from deploy.local.running import here
from deploy.local.running.system import BANK_SECONDS, SERVICES
from shared.database import Context, Database

QUIET_SECONDS = 30
OVERLAP = timedelta(seconds=10)
BUSY = (
    "select 'facts to send' what, type of, count(*) many from outbox where business_id = :id group by type"
    " union all select 'events to try again', type, count(*) from inbox_failed"
    " where business_id = :id and next_attempt_at is not null group by type"
    " union all select 'work to do', kind, count(*) from work where business_id = :id"
    "  and not (kind = 'start_day' and attempts = 0 and due_at > now()) group by kind"
)
"""In real time a day that is to start always waits in catalog: that is rest."""
TOLD = "select event_id, type, published_at from event_log where business_id = :id and published_at >= :since"
KNOWN = (
    "select event_id from inbox where event_id = any(:ids)"
    " union select event_id from inbox_failed where event_id = any(:ids)"
)
NEXT_DEBITS = {
    "billing": (
        "select payer_id, min(due_date) due_date from ("
        " select i.payer_id, t.due_date from instalments t join invoices i using (invoice_id)"
        "  join billed_packages p using (package_id) where t.state = 'scheduled' and p.auto_pay"
        " union all select payer_id, next_due_date from billed_packages where auto_pay and next_due_date is not null"
        ") due group by payer_id"
    ),
    "directdebit": (
        "select payer_id, min(next_date) due_date from collections"
        " where next_date is not null and target_minor > 0 group by payer_id"
    ),
}
PARKED = "select type, error from inbox_failed where business_id = :id and next_attempt_at is null"


class Parts(Protocol):
    """What there is to look into."""

    @property
    def database_urls(self) -> dict[str, str]: ...

    @property
    def bank_url(self) -> str: ...


class NotQuiet(AssertionError):
    """Something still moves when all should be at rest."""

    def __init__(self, seconds: float, unrest: dict[str, Any]) -> None:
        super().__init__(f"not quiet after {seconds} s: {unrest}")
        self.unrest = unrest


@dataclass
class Heard:
    """How far the event logs of a business have been read, and who has still to hear what."""

    since: dict[str, datetime] = field(
        default_factory=lambda: dict.fromkeys(SERVICES, datetime(2000, 1, 1, tzinfo=UTC))
    )
    read: set[UUID] = field(default_factory=set)
    waits: dict[str, dict[UUID, str]] = field(default_factory=lambda: {name: {} for name in SERVICES})


class Observer:
    """One pair of eyes for a whole run; a business at a time."""

    def __init__(self, system: Parts) -> None:
        self.system = system
        self.databases = {name: Database(url, pool_size=2) for name, url in system.database_urls.items()}
        self._heard: defaultdict[UUID, Heard] = defaultdict(Heard)
        self.bank = here.async_client(base_url=system.bank_url, timeout=BANK_SECONDS)

    async def close(self) -> None:
        await self.bank.aclose()
        for database in self.databases.values():
            await database.close()

    async def rows(self, service: str, sql: str, business_id: UUID, **values: Any) -> list[Any]:
        """Rows as the service itself sees them inside a business."""
        async with self.databases[service].transaction() as db:
            await db.enter(Context(business_id, "service:observer"))
            return list(await db.execute(text(sql), {"id": business_id} | values))

    async def _plumbing(self, service: str, sql: str, **values: Any) -> list[Any]:
        """Rows of the tables that serve all businesses."""
        return list(await self.databases[service].alone(text(sql), values))

    async def _of_each(self, sql: str, business_id: UUID) -> dict[str, list[Any]]:
        rows = await asyncio.gather(*(self._plumbing(service, sql, id=business_id) for service in SERVICES))
        return dict(zip(SERVICES, rows, strict=True))

    async def unrest(self, business_id: UUID) -> dict[str, Any]:
        """What is not quiet: facts unsent, work undone, callbacks the bank still has to make, events unheard."""
        found: dict[str, Any] = {}
        for service, rows in (await self._of_each(BUSY, business_id)).items():
            for row in rows:
                found.setdefault(f"{service}: {row.what}", []).append((row.of, row.many))
        if found:
            return found  # enough to wait for: the rest is asked when this is done
        unsent = {"state": "unsent", "reference": str(business_id)}
        answer = await self.bank.get("/practice/callbacks", params=unsent)
        if count := answer.json()["meta"]["count"]:
            found["callbacks the bank has to make"] = count
        if not found and (unheard := await self.unheard(business_id)):
            found["events not heard"] = unheard
        return found

    async def unheard(self, business_id: UUID) -> Counter[tuple[str, str]]:
        """Facts published and subscribed to, that are neither in the subscriber's inbox nor set aside there."""
        heard = self._heard[business_id]
        await asyncio.gather(*(self._read(service, business_id, heard) for service in SERVICES))
        for service, waits in heard.waits.items():
            if waits:
                for row in await self._plumbing(service, KNOWN, ids=list(waits)):
                    waits.pop(row.event_id, None)
        return Counter((service, kind) for service, waits in heard.waits.items() for kind in waits.values())

    async def _read(self, publisher: str, business_id: UUID, heard: Heard) -> None:
        """Read a log on from where it was left; a little before that, for rows are dated before they are committed."""
        for row in await self._plumbing(publisher, TOLD, id=business_id, since=heard.since[publisher]):
            heard.since[publisher] = max(heard.since[publisher], row.published_at - OVERLAP)
            if row.event_id not in heard.read:
                heard.read.add(row.event_id)
                for service, wanted in SUBSCRIPTIONS.items():
                    if row.type in wanted:
                        heard.waits[service][row.event_id] = row.type

    async def until_quiet(self, business_id: UUID, seconds: float = QUIET_SECONDS) -> None:
        """Wait until nothing moves, twice running; else fail and say what did.

        A look takes a moment, in which the last thing to do may become a fact that has just been heard; so the second
        look counts only if nothing was published since the first.
        """
        unrest: dict[str, Any] = {}
        calm, published = 0, -1
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                while calm < 2:
                    unrest = await self.unrest(business_id)
                    before, published = published, len(self._heard[business_id].read)
                    calm = 0 if unrest else calm + 1 if published == before else 1
                    if calm < 2:
                        await asyncio.sleep(0.02)
        except TimeoutError:
            if limit.expired():
                raise NotQuiet(seconds, unrest) from None
            raise

    async def next_debits(self, business_id: UUID) -> dict[str, date]:
        """When something is to be debited next, of each payer: by the books of billing and of directdebit."""
        found: dict[str, date] = {}
        for service, sql in NEXT_DEBITS.items():
            for row in await self.rows(service, sql, business_id):
                payer = str(row.payer_id)
                found[payer] = min(found.get(payer, row.due_date), row.due_date)
        return found

    async def parked(self, business_id: UUID) -> dict[str, list[Any]]:
        """The events that wait for a person, by service: type and error of each."""
        return {service: rows for service, rows in (await self._of_each(PARKED, business_id)).items() if rows}

    async def violations(self, business_id: UUID) -> list[str]:
        """What the audit finds, a line for each: an invariant that does not hold, or what services say unlike."""
        return [finding.line() for finding in audit(await self.books(business_id))]

    async def books(self, business_id: UUID) -> Books:
        """All that the audit compares, the bank's own log included."""
        books = await read_books(self.databases, business_id)
        books.bank_log = await self.bank_log(business_id)
        return books

    async def bank_log(self, business_id: UUID) -> BankLog:
        """Every payment that the bank was ever asked for by a business, and the callbacks that it will make later."""
        of_business = {"reference": str(business_id)}
        found = await self.bank.get("/practice/creditors", params=of_business)
        logs = [
            await self.bank.get("/practice/log", params={"creditor": creditor["id"]})
            for creditor in found.raise_for_status().json()["creditors"]
        ]
        held = await self.bank.get("/practice/callbacks", params=of_business | {"state": "held"})
        return BankLog(
            [payment for log in logs for payment in log.raise_for_status().json()["payments"]],
            frozenset(callback["id"] for callback in held.raise_for_status().json()["callbacks"]),
        )
