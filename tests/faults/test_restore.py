"""A database is restored from a backup that is a day old, while the other services have lived on.

The backup is a copy by `create database … template`, which holds what `pg_dump` would.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import pytest

from deploy.audit.reading import DEFINITIONS
from deploy.local.running.observer import Observer
from deploy.local.running.system import System
from shared.outbox import replay
from tests.faults.conftest import Doomed, on_rabbitmq
from tests.faults.test_debits import SUMS, TUESDAY, Payers
from tests.harness.studio import Studio, days
from tests.operating.hand import Hand, hand
from tests.stories.test_recurring import SIX_A_FORTNIGHT

pytestmark = [pytest.mark.servers, pytest.mark.timeout(240)]

DIRECTDEBIT, BILLING = on_rabbitmq("directdebit"), on_rabbitmq("billing")
HEARD_WITHIN_SECONDS = 60
HELD = "directdebit: work to do"


class Backup:
    """A copy of a service's database, and the way back to it."""

    def __init__(self, house: Doomed, admin_url: str, observer: Observer, service: str) -> None:
        self.admin_url, self.database = admin_url, observer.databases[service]
        self.name = urlsplit(house.system.database_urls[service]).path[1:]

    async def _do(self, *statements: str) -> None:
        await self.database.engine.dispose()
        connection = await asyncpg.connect(self.admin_url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def take(self) -> None:
        await self._do(f'create database "{self.name}_backup" template "{self.name}" owner "{self.name}"')

    async def restore(self) -> None:
        await self._do(
            f'drop database "{self.name}" with (force)', f'alter database "{self.name}_backup" rename to "{self.name}"'
        )


@asynccontextmanager
async def living_on(house: Doomed, *wrong: str) -> AsyncIterator[Studio]:
    """A business whose story ends without an audit: what was told and is forgotten is a finding, and rightly so.

    Its findings of these kinds there must not be.
    """
    observer = Observer(house.system)
    studio = Studio(house.system, observer)
    try:
        await studio.open()
        yield studio
        await studio.quiet()
        found = await observer.violations(studio.business_id)
        assert not [line for line in found if line.startswith(wrong)], found
    finally:
        await studio.close()
        await observer.close()


def operator(system: System) -> Hand:
    keys = json.loads(system.environment["PUNCHCARD_ENCRYPTION_KEYS"])
    urls = system.database_urls
    return hand(DEFINITIONS, urls, system.issuer, encryption_keys=keys, provider_url=system.bank_url)


async def catch_up(studio: Studio, waiting: set[str]) -> None:
    """Everybody sends again what they told, until it is heard; then only work of these kinds waits."""
    for database in studio.observer.databases.values():
        await replay(database, "1 hour")
    fresh = Observer(studio.system)  # it has not seen what the restored service had heard before
    try:
        async with asyncio.timeout(HEARD_WITHIN_SECONDS):
            while await _is_moving(fresh, studio.business_id):  # noqa: ASYNC110 — it is in the databases
                await asyncio.sleep(0.2)
        unrest = await fresh.unrest(studio.business_id)
    finally:
        await fresh.close()
    assert {kind for kind, _ in unrest.get(HELD, [])} == waiting


async def _is_moving(observer: Observer, business_id: UUID) -> bool:
    unrest = await observer.unrest(business_id)
    return bool(unrest.keys() - {HELD} or await observer.unheard(business_id))


async def books(payers: Payers) -> tuple[Any, ...]:
    """What the bank was asked for, what directdebit knows of it, and how the invoices read."""
    at_the_bank = {name: [each["id"] for each in made] for name, made in (await payers.at_the_bank()).items()}
    debits = (await payers.studio.owner.make("GET", "/directdebit/v1/debits"))["items"]
    known = sorted((each["debit_id"], each["provider_ref"], each["state"], each["amount_minor"]) for each in debits)
    return at_the_bank, known, await payers.invoices()


@pytest.mark.parametrize("house", [DIRECTDEBIT], indirect=True, scope="module")
async def test_case_35_a_day_old_directdebit_sends_nothing_twice(house: Doomed, postgres_url: str) -> None:
    async with living_on(house, "broken", "parked") as studio:
        payers, do = Payers(studio), operator(house.system)
        backup = Backup(house, postgres_url, studio.observer, "directdebit")
        await payers.buy()
        with house.away():
            await backup.take()
        await studio.clock(TUESDAY)
        made = await payers.at_the_bank()
        await studio.at_the_bank(made["Ana"][0]["id"], "settle")
        await studio.at_the_bank(made["Ben"][0]["id"], "decline", cause="insufficient_funds")
        await studio.quiet()
        before, after = await books(payers), await payers.at_the_bank()
        assert {each[2] for each in before[1]} == {"settled", "declined", "submitted"}

        with house.away():
            await backup.restore()
            await do("restore", "hold", "--by", "kim")
        await catch_up(studio, waiting={"run"})
        assert await payers.at_the_bank() == after, "nothing was sent"
        since = (TUESDAY - days(4)).isoformat()
        adopt = ("restore", "adopt", "--since", since, "--by", "kim")
        assert await do(*adopt) == f"{len(SUMS)} debits are known again\n"
        assert await do(*adopt) == "0 debits are known again\n"
        await do("restore", "release", "--by", "kim")
        await studio.quiet()
        assert await books(payers) == before
        await studio.clock(TUESDAY + days(1))
        assert (await books(payers))[:2] == before[:2], "nothing is due again"


@pytest.mark.at_length
@pytest.mark.parametrize("house", [BILLING], indirect=True, scope="module")
async def test_while_sending_is_held_a_day_old_billing_can_be_put_right(house: Doomed, postgres_url: str) -> None:
    """Billing makes the lost period's invoice again, under a new id, and asks for it again: a person settles that.

    What directdebit tells of the one that is forgotten is parked.
    """
    async with living_on(house, "broken") as studio:
        do, backup = operator(house.system), Backup(house, postgres_url, studio.observer, "billing")
        mandate = await studio.mandate("manual")
        template_id = await studio.template(**SIX_A_FORTNIGHT | {"frequency": "weekly"})
        package_id = await studio.sell(template_id, auto_pay=True, first_due_date=TUESDAY.isoformat())
        await studio.clock(TUESDAY)
        with house.away():
            await backup.take()
        await studio.live(TUESDAY + days(7))
        before = [each["id"] for each in await studio.payments(mandate)]
        assert len(before) == 2

        await do("restore", "hold", "--by", "kim")
        with house.away():
            await backup.restore()
        await catch_up(studio, waiting={"run"})
        await studio.begin_day(TUESDAY + days(8))
        await catch_up(studio, waiting={"run"})
        invoices = (await studio.owner.make("GET", f"/billing/v1/invoices?package_id={package_id}"))["items"]
        again = max(invoices, key=lambda invoice: invoice["number"])
        await studio.pay(again["invoice_id"], again["open_minor"], method="card")
        await catch_up(studio, waiting={"run"})
        await do("restore", "release", "--by", "kim")
        await studio.quiet()
        assert [each["id"] for each in await studio.payments(mandate)] == before
