"""Mandates and the account with the provider, on PostgreSQL: who gives them, and what they let go out."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import event, text

from services.directdebit.actions import mandates
from services.directdebit.tables.collections import Collection
from services.directdebit.tables.debits import Debit, DebitItem
from shared.events.catalog import ClientChanged
from shared.ids import new_id
from tests.directdebit.conftest import OLD_SECRET, SECRET, TODAY, Desk

pytestmark = pytest.mark.servers


async def test_a_mandate_shows_only_the_ending_and_replaces_the_one_before(desk: Desk) -> None:
    first = (await desk.record(desk.provider.mandate())).json()
    second = await desk.record(desk.provider.mandate(), account_ending="1234")
    assert second.status_code == 201
    listed = (await desk.get("mandates", payer_id=desk.payer_id))["items"]
    assert [(each["mandate_id"], each["state"]) for each in listed] == [
        (first["mandate_id"], "replaced"),
        (second.json()["mandate_id"], "active"),
    ]
    assert second.json()["account_ending"] == "1234"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("account_ending", "1"),
        ("account_ending", "12345"),
        ("account_ending", "١٢"),
        ("provider_mandate", "082-082 012345678"),
        ("account_number", "012345678"),
        ("payer_id", "Ana"),
    ],
)
async def test_nothing_more_of_an_account_gets_in(desk: Desk, field: str, value: str) -> None:
    answer = await desk.record("MD123", **{field: value})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert value not in answer.text


async def test_an_unknown_payer_gets_no_mandate(desk: Desk) -> None:
    assert (await desk.record("MD123", payer_id=str(new_id()))).status_code == 409


async def test_one_mandate_of_the_provider_belongs_to_one_payer(desk: Desk) -> None:
    mandate = desk.provider.mandate()
    await desk.record(mandate)
    assert (await desk.record(mandate, account_ending="99")).status_code == 201
    other = Desk(desk.room, desk.provider, desk.business_id, new_id(), desk.owner)
    await desk.room.hear(
        desk.business_id, ClientChanged(client_id=other.payer_id, sequence=1, name="Bo", email=None, active=True)
    )
    answer = await other.record(mandate)
    assert (answer.status_code, answer.json()["field"]) == (422, "provider_mandate")


async def test_a_client_sees_their_own_mandates_and_records_none(desk: Desk) -> None:
    await desk.record(desk.provider.mandate())
    for client_id, count in ((desk.payer_id, 1), (new_id(), 0)):
        async with desk.room.http(desk.room.issuer.client(desk.business_id, client_id)) as http:
            listed = await http.get("mandates", params={"payer_id": str(desk.payer_id)})
            refused = await http.post("mandates", json={})
        assert len(listed.json()["items"]) == count
        assert refused.status_code == 403


async def test_a_debit_that_is_listed_moves_to_the_new_mandate(desk: Desk) -> None:
    await desk.record(desk.provider.mandate())
    wish, replacing = desk.wish(), desk.provider.mandate()
    await desk.hear(wish)
    run = (await desk.post("runs")).json()
    await desk.record(replacing)
    assert (await desk.post(f"runs/{run['run_id']}/confirm")).status_code == 200
    debit = await desk.until(wish, lambda debit: debit["state"] == "submitted")
    (payment,) = desk.provider.payments(debit)
    assert (payment["id"], payment["links"]["mandate"]) == (debit["provider_ref"], replacing)


async def test_recording_a_mandate_costs_the_same_however_much_was_paid_before(desk: Desk) -> None:
    mandate_id = UUID((await desk.record(desk.provider.mandate())).json()["mandate_id"])
    statements = []
    for paid in (1, 49):
        async with desk.room.inside(desk.business_id) as db:
            db.add_all(row for day in range(paid) for row in a_paid_collection(desk, mandate_id, days=paid + day))
        statements.append(await statements_to_record(desk))
    assert len((await desk.get("debits", state="settled", limit=200))["items"]) == 50
    assert statements[0] == statements[1] > 0


def a_paid_collection(desk: Desk, mandate_id: UUID, *, days: int) -> tuple[Collection, Debit]:
    wish, debit_id, ours = desk.wish(), new_id(), {"business_id": desk.business_id}
    amount = {"amount_minor": wish.target_minor}
    item = DebitItem(instalment_id=wish.instalment_id, attempt_no=1, version=1, live=True, **amount, **ours)
    debit = Debit(
        debit_id=debit_id,
        payer_id=desk.payer_id,
        mandate_id=mandate_id,
        currency="AUD",
        charge_date=TODAY - timedelta(days=days),
        created_date=TODAY,
        settled_date=TODAY,
        final=False,
        state="settled",
        provider_ref=f"PM{debit_id}",
        items=[item],
        **amount,
        **ours,
    )
    return Collection(**wish.model_dump(), **ours), debit


async def statements_to_record(desk: Desk) -> int:
    said: list[str] = []
    async with desk.room.inside(desk.business_id) as db:
        connection = (await db.connection()).sync_connection
        event.listen(connection, "before_cursor_execute", lambda *given: said.append(given[2]))
        await mandates.record_mandate(
            db, new_id(), payer_id=desk.payer_id, provider_mandate="MD0COUNTED", account_ending="78"
        )
        await db.rollback()
    return len(said)


async def test_a_providers_token_and_secrets_lie_sealed_and_are_never_shown(desk: Desk) -> None:
    async with desk.room.inside(desk.business_id) as db:
        (row,) = (await db.execute(text("select * from provider_accounts"))).all()
    assert desk.provider.token.encode() not in bytes(row.access_token)
    assert SECRET.encode() not in bytes(row.callback_secrets)
    async with desk.room.http(desk.owner) as http:
        answer = await http.put("provider", json={"access_token": desk.provider.token, "callback_secrets": ["short"]})
    assert answer.status_code == 422
    assert desk.provider.token not in answer.text
    assert "short" not in answer.text.replace("too short", "")


async def test_without_a_provider_no_mandate_is_recorded(desk: Desk) -> None:
    other = await desk.room.business()
    elsewhere = Desk(desk.room, desk.provider, other, desk.payer_id, desk.room.issuer.staff(other))
    answer = await elsewhere.record("MD123")
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:punchcard:problem:no-provider"


async def test_the_account_is_not_changed_while_a_debit_is_under_way_there(desk: Desk) -> None:
    """Another account would know nothing of the debit: what is in doubt would be taken twice."""
    await desk.record(desk.provider.mandate())
    await desk.sent()
    other = {"access_token": "token-of-another-account", "callback_secrets": [SECRET]}
    async with desk.room.http(desk.owner) as http:
        refused = await http.put("provider", json=other)
        assert refused.status_code == 409
        assert refused.json()["type"] == "urn:punchcard:problem:debits-under-way"
        rolled = await http.put("provider", json=other | {"same_account": True})
        assert rolled.status_code == 200
        secrets_only = await http.put("provider", json=other | {"callback_secrets": [OLD_SECRET, SECRET]})
        assert secrets_only.status_code == 200


@pytest.mark.parametrize(
    "token", ["t\u00f6ken-with-umlaut", "with a space in it", "short", "new\nline-in-a-token", "\u200bzero-width"]
)
async def test_a_token_that_fits_no_header_is_refused_and_not_quoted(desk: Desk, token: str) -> None:
    async with desk.room.http(desk.owner) as http:
        answer = await http.put("provider", json={"access_token": token, "callback_secrets": [SECRET]})
    assert answer.status_code == 422
    assert token not in answer.text
