"""A running system of one business after another, for the tests of `./dev clock` and `./dev bank`."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from typer.testing import CliRunner, Result

from deploy.local.cli import commands
from deploy.local.running import here
from deploy.local.running.state import Addresses, current_business, noted
from deploy.local.running.system import System, bank_account, system
from shared.ids import new_id
from tests.harness.studio import PROFILE

FRIDAY = "2022-09-09T08:00:00+10:00"
PLANT = (
    "insert into inbox_failed (event_id, business_id, type, envelope, error, attempts, next_attempt_at)"
    " values ($1, $2, 'catalog.business_changed.v1', '{}', 'Reject: planted', 1, now() + $3::interval)"
)


def clock(state: Path, *words: object) -> Result:
    return CliRunner().invoke(commands(["clock"]), ["clock", *map(str, words), "--state", str(state)])


def bank(state: Path, *words: object) -> Result:
    named = [] if words == ("list",) else ["--state", str(state)]
    return CliRunner().invoke(commands(["bank", "clock"]), ["bank", *map(str, words), *named])


@dataclass
class Town:
    """A running system, and the folder that it notes its addresses in."""

    system: System
    state: Path

    def settle(self, **profile: Any) -> None:
        """A new business, of which `./dev clock` speaks from now on."""
        business_id = current_business(self.state, becomes=new_id())
        self.ask("PUT", "business", PROFILE | profile)
        assert self.ask("GET", "business")["business_id"] == str(business_id)

    def ask(self, method: str, path: str, body: Any = None, *, service: str = "catalog") -> dict[str, Any]:
        token = self.system.issuer.staff(current_business(self.state))
        url = f"{self.system.urls[service]}/{service}/v1/{path}"
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": str(new_id())}
        answer = here.request(method, url, json=body, headers=headers)
        document: dict[str, Any] = answer.raise_for_status().json()
        return document

    @property
    def now(self) -> datetime:
        return datetime.fromisoformat(self.ask("GET", "business")["test_now"])

    def open_account(self, now: str | None = None) -> dict[str, Any]:
        """The business has an account at the bank, with a clock there if it is told the time."""
        instant = now and datetime.fromisoformat(now)
        return asyncio.run(bank_account(self.system, self.business_id, "Harbour Studio", instant or None))

    def sign(self, name: str, account: dict[str, Any]) -> str:
        """A new client with a mandate at the bank; its name there."""
        client = self.ask(
            "POST", "clients", {"name": name, "email": f"{name.lower().replace(' ', '.')}@clients.example"}
        )
        payer = {"account_holder_name": name, "account_number": "123456789", "branch_code": "062-000"}
        answer = here.request(
            "POST",
            f"{self.system.bank_url}/practice/mandates",
            json={"mandates": payer | {"currency": "AUD"}},
            headers={"Authorization": f"Bearer {account['access_token']}"},
        )
        mandate: str = answer.raise_for_status().json()["mandates"]["id"]
        body = {"payer_id": client["client_id"], "provider_mandate": mandate, "account_ending": "89"}
        self.ask("POST", "mandates", body, service="directdebit")
        return mandate

    @property
    def business_id(self) -> UUID:
        return current_business(self.state)

    @property
    def bank_now(self) -> str | None:
        """How late it is at the bank for this business."""
        found = here.request(
            "GET", f"{self.system.bank_url}/practice/creditors", params={"reference": str(self.business_id)}
        )
        (creditor,) = found.json()["creditors"]
        now: str | None = creditor["now"]
        return now

    def sql(self, service: str, statement: str, *values: object) -> list[Any]:
        async def run() -> list[Any]:
            connection = await asyncpg.connect(self.system.database_urls[service])
            try:
                return list(await connection.fetch(statement, *values))
            finally:
                await connection.close()

        return asyncio.run(run())

    def days_told(self) -> list[str]:
        """The dates of which catalog has said that they have started."""
        told = "select envelope from event_log where type = 'catalog.business_day_started.v1' and business_id = $1"
        rows = self.sql("catalog", f"{told} order by event_id", current_business(self.state))
        return [json.loads(row["envelope"])["data"]["business_date"] for row in rows]

    def until(self, look: Callable[[], Any]) -> Any:
        """What a look brings, once other services have heard what it needs."""
        for _ in range(100):
            with suppress(httpx.HTTPStatusError):
                if (found := look()) is not None:
                    return found
            time.sleep(0.1)
        raise AssertionError("it never came")

    def plant(self, seconds: float | None) -> None:
        """An event that notify cannot handle: to be tried again so much later, or parked."""
        again = None if seconds is None else f"{seconds} seconds"
        statement = PLANT.replace("$3::interval", f"interval '{again}'" if again else "null::interval")
        self.sql("notify", statement, new_id(), current_business(self.state))


@contextmanager
def running_town(state: Path, postgres_url: str, prefix: str) -> Iterator[Town]:
    """A system, and its addresses noted where `./dev` looks for them."""
    with (
        system(state, postgres_url, None, prefix=f"{prefix}_{new_id().hex[-8:]}") as made,
        noted(state, Addresses(made.urls, made.database_urls, made.bank_url)),
    ):
        yield Town(made, state)
