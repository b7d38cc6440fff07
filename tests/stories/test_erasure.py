"""A client is erased: nothing tells any more who they were, and all that they bought, booked, owe and paid stands."""

from typing import Any

from sqlalchemy import text

from services.catalog.actions import tell_again
from shared.database import Context
from shared.outbox import replay
from tests.harness.leaks import of_rows
from tests.harness.studio import FRIDAY, Studio, days
from tests.stories.test_selling import PAID_IN_FULL

NAMES = ("Zephyrine", "Quillfeather", "zeph@clients.example")
CHANGED = "catalog.client_changed.v1"


async def _found(studio: Studio) -> list[str]:
    """Where a name or the address of the client stands, in any row of any database."""
    found = []
    for service, database in studio.observer.databases.items():
        async with database.transaction() as db:
            await db.enter(Context(studio.business_id, "service:test"))
            found += [f"{service}: {line}" for line in await of_rows(db, NAMES)]
    return found


async def _books(studio: Studio, client_id: str) -> list[Any]:
    """What the services say of what the client holds, booked, owes and paid."""
    lists = (
        f"/packages/v1/packages?client_id={client_id}",
        f"/booking/v1/bookings?client_id={client_id}",
        f"/billing/v1/invoices?client_id={client_id}",
        f"/directdebit/v1/debits?payer_id={client_id}",
    )
    shown = [(await studio.owner.make("GET", path))["items"] for path in lists]
    assert all(shown), shown
    return [[{name: value for name, value in item.items() if name != "reason"} for item in items] for items in shown]


async def _fail_in_packages(studio: Studio, client_id: str) -> None:
    """One of the client's facts could not be handled by packages, which kept it with an error that quotes it."""
    told = text("select event_id, envelope from event_log where type = :type and subject = :id limit 1")
    async with studio.observer.databases["catalog"].transaction() as db:
        row = (await db.execute(told, {"type": CHANGED, "id": client_id})).one()
    failed = text(
        "insert into inbox_failed (event_id, business_id, type, envelope, error, attempts)"
        " values (:event_id, :business_id, :type, :envelope, 'ValidationError: Zephyrine', 0)"
    )
    async with studio.observer.databases["packages"].transaction() as db:
        values = {"event_id": row.event_id, "envelope": row.envelope, "type": CHANGED}
        await db.execute(failed, values | {"business_id": studio.business_id})


async def _hear_all_again(studio: Studio) -> None:
    """Everything that was told is told again, the book whole, and the facts of clients to those who forgot them."""
    databases = studio.observer.databases
    async with databases["catalog"].transaction(Context(studio.business_id, "operator:test")) as db:
        await tell_again(db)
        known = (await db.scalars(text("select event_id from event_log where type = :type"), {"type": CHANGED})).all()
    for service, database in databases.items():
        if service != "catalog":
            async with database.transaction() as db:
                await db.execute(text("delete from inbox where event_id = any(:known)"), {"known": list(known)})
    for database in databases.values():
        await replay(database, "1 hour")
    await studio.quiet()


async def test_an_erased_client_is_nowhere_and_the_books_are_as_they_were(studio: Studio) -> None:
    person = {"name": "Zephyrine Quill", "email": "zeph@clients.example"}
    client_id = (await studio.owner.make("POST", "/catalog/v1/clients", person))["client_id"]
    path = f"/catalog/v1/clients/{client_id}"
    await studio.owner.make("PATCH", path, {"name": "Zephyrine Quillfeather"})
    await studio.quiet()
    await studio.mandate("decline", client_id, "insufficient_funds")
    package_id = await studio.sell(await studio.template(**PAID_IN_FULL), client_id, auto_pay=True)
    await studio.book(package_id, FRIDAY + days(9), client_id=client_id)
    off = await studio.book(package_id, FRIDAY + days(8), client_id=client_id)
    await studio.owner.make("POST", f"/booking/v1/bookings/{off}/cancel", {"reason": "Zephyrine is ill"})
    await studio.clock(FRIDAY + days(3))
    assert any("declined" in subject.lower() for subject in await studio.mails("desk@studio.example"))
    await _fail_in_packages(studio, client_id)
    assert len(await _found(studio)) >= 7, "else there is nothing to erase"
    before = await _books(studio, client_id)
    await studio.quiet()

    key = {"Idempotency-Key": "erase once"}
    for _ in range(2):
        answer = await studio.owner.request("POST", f"{path}/erase", headers=key)
        assert (answer.status_code, answer.json()["erased"]) == (200, True)
    await studio.owner.make("PATCH", path, {"name": "Zephyrine"}, expect=409)
    await studio.quiet()
    assert await _found(studio) == []
    assert await _books(studio, client_id) == before

    await _hear_all_again(studio)
    assert await _found(studio) == []
    assert await _books(studio, client_id) == before
    assert await studio.balance(package_id) == (9, 1, 0)
    async with studio.observer.databases["packages"].transaction() as db:
        await db.execute(text("update inbox_failed set next_attempt_at = now() where type = :type"), {"type": CHANGED})
    await studio.quiet()
    async with studio.observer.databases["packages"].transaction() as db:
        assert await db.scalar(text("select count(*) from inbox_failed where type = :type"), {"type": CHANGED}) == 0


async def test_a_client_who_never_was_is_not_erased(studio: Studio) -> None:
    await studio.owner.make("POST", f"/catalog/v1/clients/{studio.kim}/erase", expect=404)
    keeper = studio.caller(studio.system.issuer.staff(studio.business_id, permissions=["package.sell"]))
    await keeper.make("POST", f"/catalog/v1/clients/{studio.ana}/erase", expect=403)
