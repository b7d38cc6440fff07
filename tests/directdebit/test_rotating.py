"""The encryption key is changed while everything goes on: no read fails, no row is left under the old one."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from deploy.local.running.issuer import Issuer
from services.directdebit.actions import accounts, mandates
from services.directdebit.bank import Account
from services.directdebit.main import service
from shared.events.catalog import ClientChanged
from shared.ids import new_id
from shared.sealed import CannotOpen, Seal
from tests.harness.databases import Databases
from tests.harness.room import Room, room
from tests.operating.hand import hand

pytestmark = pytest.mark.servers

OLD, NEW = (b64encode(bytes([number]) * 32).decode() for number in (1, 2))
OLD_ID = sha256(bytes([1]) * 32).digest()[:4]
SEALED = (
    "select access_token as sealed from provider_accounts union all select callback_secrets from provider_accounts"
    " union all select sealed_account from mandates where sealed_account is not null"
)


@dataclass
class Vault:
    """Directdebit with a database of its own, and businesses whose secrets lie in it."""

    room: Room
    url: str
    issuer: Issuer
    businesses: list[UUID]

    async def rotate(self, *keys: str) -> str:
        do = hand({"directdebit": service}, {"directdebit": self.url}, self.issuer, encryption_keys=list(keys))
        return await do("rotate", "keys")

    @contextmanager
    def keys(self, *keys: str) -> Iterator[None]:
        """The process has been started again with these keys."""
        settings = self.room.running.settings
        before, settings.encryption_keys = settings.encryption_keys, [SecretStr(key) for key in keys]
        yield
        settings.encryption_keys = before

    async def read(self, business_id: UUID) -> Account:
        async with self.room.inside(business_id) as db:
            return await accounts.find(db, self.room.running.settings.seal())

    async def sealed(self) -> list[bytes]:
        found: list[bytes] = []
        for business_id in self.businesses:
            async with self.room.inside(business_id) as db:
                found += [bytes(row.sealed) for row in await db.execute(text(SEALED))]
        return found


@pytest.fixture(scope="module")
async def opened(databases: Databases, issuer: Issuer) -> AsyncIterator[Room]:
    await databases.make("vault")
    url = databases.url("vault")
    async with room(service, url, issuer, provider_url="http://127.0.0.1:9", encryption_keys=[OLD]) as opened:
        yield opened


@pytest.fixture
async def vault(opened: Room, databases: Databases, issuer: Issuer) -> AsyncIterator[Vault]:
    made = Vault(opened, databases.url("vault"), issuer, [await opened.business() for _ in range(3)])
    for business_id in made.businesses:
        await _connect(opened, business_id)
    yield made
    for business_id in made.businesses:
        async with opened.inside(business_id) as db:
            for table in ("work", "mandates", "provider_accounts"):
                await db.execute(text(f"delete from {table} where business_id = :id"), {"id": business_id})


async def _connect(opened: Room, business_id: UUID) -> None:
    """An account with the provider, and a payer's account that waits to be registered there."""
    async with opened.http(opened.issuer.staff(business_id)) as http:
        account = {"access_token": f"token-of-{business_id}", "callback_secrets": [f"a-secret-of-{business_id}"]}
        assert (await http.put("provider", json=account)).is_success
        payer_id = new_id()
        payer = ClientChanged(client_id=payer_id, sequence=1, name="Ana", email=None, active=True)
        await opened.hear(business_id, payer)
        assert (await http.post("mandates/register", json=_details(payer_id))).status_code == 202


def _details(payer_id: UUID) -> dict[str, Any]:
    account = {"account_holder": "Ana Reyes", "branch_code": "082-082", "account_number": "987654321"}
    return {"payer_id": str(payer_id)} | account


async def test_case_75_no_read_fails_and_no_row_is_left_under_the_old_key(vault: Vault) -> None:
    assert {sealed[:4] for sealed in await vault.sealed()} == {OLD_ID}
    over = asyncio.Event()

    async def keep_reading(business_id: UUID) -> int:
        read = 0
        while not over.is_set():
            assert (await vault.read(business_id)).token == f"token-of-{business_id}"
            read += 1
        return read

    with vault.keys(NEW, OLD):
        readers = [asyncio.create_task(keep_reading(business_id)) for business_id in vault.businesses]
        assert (await vault.rotate(NEW, OLD)).endswith("9 secrets are closed anew\n")
        assert (await vault.rotate(NEW, OLD)).endswith("0 secrets are closed anew\n")
        over.set()
        assert all(await asyncio.gather(*readers))
    assert OLD_ID not in {sealed[:4] for sealed in await vault.sealed()}
    with vault.keys(NEW):
        for business_id in vault.businesses:
            assert (await vault.read(business_id)).secrets == (f"a-secret-of-{business_id}",)
            async with vault.room.inside(business_id) as db:
                mandate_id = (await db.execute(text("select mandate_id from mandates"))).scalar_one()
                account = await mandates.to_register(db, mandate_id, Seal([NEW]))
                assert account is not None
                assert account.number == "987654321"


async def test_case_75_a_row_that_was_moved_is_refused_and_the_others_are_closed_anew(vault: Vault) -> None:
    one, other = vault.businesses[:2]
    async with vault.room.inside(one) as db:
        stolen = await db.scalar(text("select access_token from provider_accounts"))
    async with vault.room.inside(other) as db:
        await db.execute(text("update provider_accounts set access_token = :stolen"), {"stolen": stolen})
    with pytest.raises(SystemExit, match="1 could not be opened"):
        await vault.rotate(NEW, OLD)
    assert [sealed[:4] for sealed in await vault.sealed()].count(OLD_ID) == 1
    with vault.keys(NEW, OLD), pytest.raises(CannotOpen):
        await vault.read(other)


async def test_a_request_repeated_across_a_rotation_gets_its_answer(vault: Vault) -> None:
    business_id, payer_id = vault.businesses[0], new_id()
    await vault.room.hear(
        business_id, ClientChanged(client_id=payer_id, sequence=1, name="Bo", email=None, active=True)
    )
    async with vault.room.http(vault.issuer.staff(business_id)) as http:
        key = {"Idempotency-Key": f"key-{new_id()}"}

        async def ask(**changes: str) -> Any:
            return await http.post("mandates/register", json=_details(payer_id) | changes, headers=key)

        first = await ask()
        with vault.keys(NEW, OLD):
            await vault.rotate(NEW, OLD)
            again = await ask()
            assert (await ask(account_number="123456789")).status_code == 422
    assert again.status_code == first.status_code == 202
    assert again.json()["mandate_id"] == first.json()["mandate_id"]
