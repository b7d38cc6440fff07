"""Clients, staff and services, on PostgreSQL."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from shared.events.catalog import ClientChanged, ServiceChanged, StaffChanged
from shared.ids import new_id
from tests.catalog.conftest import Book, fields_of

pytestmark = pytest.mark.servers


async def test_entries_are_told_whole_whenever_they_change(book: Book) -> None:
    client = await book.add("clients", name=" Ana ", email="ana@example.test")
    kim = await book.add("staff", name="Kim", practitioner=True, seller=False)
    service = await book.add("services", name="PT", minutes=60)
    await book.ask("PATCH", f"clients/{client['client_id']}", {"email": None})
    await book.ask("PATCH", f"staff/{kim['staff_id']}", {"seller": True, "active": False})
    await book.ask("PATCH", f"services/{service['service_id']}", {"minutes": 45})
    facts = await book.room.facts(book.business_id, ClientChanged, StaffChanged, ServiceChanged)
    told = [fact.model_dump(mode="json") for fact in facts]
    assert told[0] == client | {"sequence": 1}
    assert told[3:] == [
        client | {"sequence": 2, "email": None},
        kim | {"sequence": 2, "seller": True, "active": False},
        service | {"sequence": 2, "minutes": 45},
    ]
    assert client["name"] == "Ana"


async def test_changes_at_once_are_told_under_numbers_of_their_own(book: Book) -> None:
    path = f"clients/{(await book.add('clients', name='Ana'))['client_id']}"
    await asyncio.gather(*(book.ask("PATCH", path, {"name": f"Ana {number}"}) for number in range(8)))
    facts = await book.room.facts(book.business_id, ClientChanged)
    newest = {fact.sequence: fact.name for fact in facts if isinstance(fact, ClientChanged)}
    assert sorted(newest) == list(range(1, 10))
    assert (await book.ask("GET", path))["name"] == newest[9]


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        ("clients", {"name": ""}, "name"),
        ("clients", {"name": "Ana\u2028Smith"}, "name"),
        ("clients", {"name": "Ana", "email": "ana@@example.test"}, "email"),
        ("clients", {"name": "Ana", "email": "a,b@example.test"}, "email"),
        ("staff", {"name": "Kim", "practitioner": True}, "seller"),
        ("services", {"name": "PT", "minutes": 0}, "minutes"),
        ("services", {"name": "PT", "minutes": 1441}, "minutes"),
    ],
)
async def test_an_entry_that_cannot_be_names_the_field(book: Book, kind: str, body: Any, field: str) -> None:
    assert fields_of(await book.ask("POST", kind, body, status=422)) == [field]


async def test_a_change_to_nothing_names_the_field(book: Book) -> None:
    client = await book.add("clients", name="Ana")
    path = f"clients/{client['client_id']}"
    for field in ("name", "active"):
        assert fields_of(await book.ask("PATCH", path, {field: None}, status=422)) == [field]


@pytest.mark.behaviour("EZ-01")
@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("", ["José O'Neill", "Ana Smith", "Anabel Jones"]),
        ("ana", ["Ana Smith", "Anabel Jones"]),
        ("SMI", ["Ana Smith"]),
        ("jones ana", ["Anabel Jones"]),
        ("Jose", ["José O'Neill"]),
        ("jo@example.test", ["José O'Neill"]),
        ("EXAMPLE", ["José O'Neill", "Ana Smith"]),
        ("nobody", []),
        ("'; drop table clients; --", []),
    ],
)
async def test_a_client_is_found_by_the_beginnings_of_words(book: Book, search: str, found: list[str]) -> None:
    for name, email in (("José O'Neill", "jo@example.test"), ("Ana Smith", "ana@example.test"), ("Anabel Jones", None)):
        await book.add("clients", name=name, email=email)
    async with book.room.http(book.owner) as http:
        page = (await http.get("clients", params={"search": search})).json()
    assert [client["name"] for client in page["items"]] == found


async def test_a_client_is_found_by_their_present_name_only(book: Book) -> None:
    client = await book.add("clients", name="Ana Smith", email="smith@example.test")
    await book.ask("PATCH", f"clients/{client['client_id']}", {"name": "Ana Jones", "email": None})
    assert (await book.ask("GET", "clients?search=smith"))["items"] == []
    assert len((await book.ask("GET", "clients?search=jones"))["items"]) == 1
    assert await book.room.violations(book.business_id) == {}


async def test_an_index_serves_the_search(book: Book) -> None:
    async with book.room.inside(book.business_id) as db:
        await db.execute(text("set local enable_seqscan = off"))
        search = "explain select client_id from client_words where word >= 'ana' and word < 'anb'"
        plan = "\n".join((await db.execute(text(search))).scalars())
    assert "ix_client_words_by_word" in plan
    assert "word >= 'ana'" in plan.partition("Index Cond")[2].partition("\n")[0]


async def test_lists_come_in_pages(book: Book) -> None:
    names = [(await book.add("services", name=f"S{number}", minutes=30))["name"] for number in range(3)]
    first = await book.ask("GET", "services?limit=2")
    rest = await book.ask("GET", f"services?limit=2&cursor={first['next_cursor']}")
    assert [item["name"] for item in first["items"] + rest["items"]] == names
    assert rest["next_cursor"] is None


async def test_a_repeated_request_makes_one_client(book: Book) -> None:
    async with book.room.http(book.owner) as http:
        http.headers["Idempotency-Key"] = str(new_id())
        answers = [await http.post("clients", json={"name": "Ana"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert answers[0].headers["Location"].endswith(f"/clients/{answers[0].json()['client_id']}")
    assert len((await book.ask("GET", "clients"))["items"]) == 1
