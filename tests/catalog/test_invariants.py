"""What must not be in the book: the database refuses it, or an invariant reports it."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tests.catalog.conftest import Book

pytestmark = pytest.mark.servers


@pytest.mark.parametrize(
    "corrupt",
    [
        "update clients set sequence = 0",
        "update staff set sequence = 0",
        "update services set minutes = 0",
        "update template_versions set version = 0",
    ],
)
async def test_the_database_refuses_what_the_book_would(book: Book, corrupt: str) -> None:
    await book.template()
    await book.add("clients", name="Ana")
    await book.add("staff", name="Kim", practitioner=True, seller=True)
    with pytest.raises(IntegrityError):
        async with book.room.inside(book.business_id) as db:
            await db.execute(text(corrupt))


@pytest.mark.parametrize(
    ("corrupt", "violated"),
    [
        ("update template_versions set version = 2", "a version of a template is missing"),
        ("delete from services", "a template names a service that is not in the book"),
        ("delete from staff", "a template names a practitioner who is not in the book"),
        (
            "update template_versions set terms = jsonb_set(terms, '{service_ids}', '[]')",
            "a template sells sessions of no service",
        ),
        ("delete from client_words", "a client with a mail address cannot be found"),
    ],
)
async def test_a_corrupt_row_is_reported(book: Book, corrupt: str, violated: str) -> None:
    kim = await book.add("staff", name="Kim", practitioner=True, seller=True)
    await book.template(practitioner_ids=[kim["staff_id"]])
    await book.add("clients", name="Ana", email="ana@example.test")
    assert await book.room.violations(book.business_id) == {}
    async with book.room.inside(book.business_id) as db:
        await db.execute(text(corrupt))
    assert list(await book.room.violations(book.business_id)) == [violated]
