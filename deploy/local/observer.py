"""Looks into the six databases of a running system: is it quiet, was anything lost, does every invariant hold?"""

import asyncio
from collections import Counter
from contextlib import suppress
from importlib import import_module
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text

from deploy.local.across import ACROSS, Facts
from deploy.local.system import SERVICES, System
from shared.database import Context, Database
from shared.service import Service

QUIET_SECONDS = 30
DEFINITIONS: dict[str, Service] = {name: import_module(f"services.{name}.main").service for name in SERVICES}
BUSY = {
    "facts to send": "select type, count(*) from outbox where business_id = :id group by type",
    "events to try again": "select type, count(*) from inbox_failed"
    " where business_id = :id and next_attempt_at is not null group by type",
    "work to do": "select kind, count(*) from work where business_id = :id group by kind",
}
PARKED = "select type, error from inbox_failed where business_id = :id and next_attempt_at is null"


class Observer:
    """One pair of eyes for a whole run; a business at a time."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.databases = {name: Database(url, pool_size=2) for name, url in system.database_urls.items()}

    async def close(self) -> None:
        for database in self.databases.values():
            await database.close()

    async def _rows(self, service: str, sql: str, business_id: UUID) -> list[Any]:
        async with self.databases[service].transaction() as db:
            return list(await db.execute(text(sql), {"id": business_id}))

    async def unrest(self, business_id: UUID) -> dict[str, Any]:
        """What is not quiet: facts unsent, events unheard, work undone, callbacks that the bank still has to make."""
        found: dict[str, Any] = {}
        for service in SERVICES:
            for what, sql in BUSY.items():
                if rows := await self._rows(service, sql, business_id):
                    found[f"{service}: {what}"] = [tuple(row) for row in rows]
        if unheard := await self.unheard(business_id):
            found["events not heard"] = unheard
        async with httpx.AsyncClient() as http:
            answer = await http.get(f"{self.system.bank_url}/practice/callbacks", params={"state": "unsent"})
        if count := answer.json()["meta"]["count"]:
            found["callbacks the bank has to make"] = count
        return found

    async def unheard(self, business_id: UUID) -> Counter[tuple[str, str]]:
        """Facts published and subscribed to, that are neither in the subscriber's inbox nor set aside there (I8)."""
        told = "select event_id, type from event_log where business_id = :id"
        known = {
            service: {
                row.event_id
                for sql in ("select event_id from inbox", "select event_id from inbox_failed")
                for row in await self._rows(service, sql, business_id)
            }
            for service in SERVICES
        }
        missing: Counter[tuple[str, str]] = Counter()
        for publisher in SERVICES:
            for row in await self._rows(publisher, told, business_id):
                for service, definition in DEFINITIONS.items():
                    if row.type in definition.subscriptions and row.event_id not in known[service]:
                        missing[service, row.type] += 1
        return missing

    async def until_quiet(self, business_id: UUID, seconds: float = QUIET_SECONDS) -> None:
        """Wait until nothing moves, twice running; else fail and say what did."""
        unrest: dict[str, Any] = {}
        calm = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while calm < 2:
                    unrest = await self.unrest(business_id)
                    calm = 0 if unrest else calm + 1
                    await asyncio.sleep(0.02)
                return
        raise AssertionError(f"not quiet after {seconds} s: {unrest}")

    async def violations(self, business_id: UUID) -> dict[str, list[Any]]:
        """Every invariant that does not hold, of each service and across them, with what breaks it."""
        found: dict[str, list[Any]] = {}
        for service, definition in DEFINITIONS.items():
            async with self.databases[service].transaction() as db:
                await db.enter(Context(business_id, "service:observer"))
                for name, sql in definition.invariants.items():
                    found[f"{service}: {name}"] = list(await db.execute(text(sql)))
            found[f"{service}: an event is parked"] = await self._rows(service, PARKED, business_id)
        facts = await self._facts(business_id)
        for name, check in ACROSS.items():
            found[f"across: {name}"] = check(facts)
        return {name: rows for name, rows in found.items() if rows}

    async def _facts(self, business_id: UUID) -> Facts:
        """The rows that services should agree on."""

        async def rows(service: str, sql: str) -> list[Any]:
            async with self.databases[service].transaction() as db:
                await db.enter(Context(business_id, "service:observer"))
                return list(await db.execute(text(sql)))

        async with httpx.AsyncClient() as http:
            bank = (await http.get(f"{self.system.bank_url}/practice/log")).json()["payments"]
        return Facts(
            bookings=await rows("booking", "select booking_id, package_id, state from bookings"),
            holds=await rows("packages", "select booking_id, package_id, state, closure_id from holds"),
            packages=await rows("packages", "select package_id, post_bill, state, closure_id from packages"),
            billed=await rows("billing", "select booking_id from invoice_lines where booking_id is not null"),
            debits=await rows("directdebit", "select debit_id, state, amount_minor from debits"),
            bank=bank,
        )
