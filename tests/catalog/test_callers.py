"""Who may read and keep the book, on PostgreSQL."""

import pytest

from tests.catalog.conftest import Book

pytestmark = pytest.mark.servers


@pytest.mark.behaviour("PB-02")
async def test_a_client_reads_what_is_offered_and_themselves(book: Book) -> None:
    offered, gone = await book.template(), await book.template()
    await book.ask("POST", f"templates/{gone['template_id']}/withdraw")
    await book.ask("PATCH", f"services/{gone['service_ids'][0]}", {"active": False})
    ana, bob = await book.add("clients", name="Ana"), await book.add("clients", name="Bob")
    token = book.room.issuer.client(book.business_id, ana["client_id"])

    templates = (await book.ask("GET", "templates?active=false", token=token))["items"]
    services = (await book.ask("GET", "services", token=token))["items"]
    assert [item["template_id"] for item in templates] == [offered["template_id"]]
    assert [item["service_id"] for item in services] == offered["service_ids"]
    await book.ask("GET", f"templates/{gone['template_id']}", token=token, status=404)
    await book.ask("GET", f"services/{gone['service_ids'][0]}", token=token, status=404)
    assert (await book.ask("GET", f"clients/{ana['client_id']}", token=token))["name"] == "Ana"
    await book.ask("GET", f"clients/{bob['client_id']}", token=token, status=404)
    for path in ("clients", "staff", "business"):
        await book.ask("GET", path, token=token, status=403)
    await book.ask("PATCH", f"clients/{ana['client_id']}", {"name": "Ann"}, token=token, status=403)


@pytest.mark.parametrize(
    ("permission", "reads", "enters_clients", "keeps_the_book"),
    [
        ("catalog.manage", 200, 201, 201),
        ("package.sell", 200, 201, 403),
        ("booking.manage", 200, 403, 403),
        ("report.view", 200, 403, 403),
        ("debit.process", 403, 403, 403),
    ],
)
async def test_staff_do_what_their_permissions_say(
    book: Book, permission: str, reads: int, enters_clients: int, keeps_the_book: int
) -> None:
    token = book.room.issuer.staff(book.business_id, permissions=[permission])
    for path in ("business", "clients", "staff", "services", "templates"):
        await book.ask("GET", path, token=token, status=reads)
    await book.ask("POST", "clients", {"name": "Ana"}, token=token, status=enters_clients)
    await book.ask("POST", "services", {"name": "PT", "minutes": 60}, token=token, status=keeps_the_book)
