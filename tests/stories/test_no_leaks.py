"""Every story ends with a search for account numbers; here something is planted for it to find."""

import pytest
from sqlalchemy import text

from shared.database import Context
from tests.harness.leaks import ACCOUNT_NUMBERS, of_rows, of_system
from tests.harness.studio import Studio

SAID = f"the account {ACCOUNT_NUMBERS[0]}"
IN_A_ROW = "update clients set name = :said"
IN_AN_EVENT = (
    "insert into outbox (event_id, business_id, type, subject, envelope) values (new_id(), :id, 'x', 'x', :said)"
)


@pytest.mark.parametrize(("table", "plant"), [("clients", IN_A_ROW), ("outbox", IN_AN_EVENT)])
async def test_an_account_number_in_a_row_is_found(studio: Studio, table: str, plant: str) -> None:
    async with studio.observer.databases["catalog"].transaction() as db:
        await db.enter(Context(studio.business_id, "staff:test"))
        assert await of_rows(db) == []
        await db.execute(text(plant), {"said": SAID, "id": studio.business_id})
        assert await of_rows(db) == [f"{table}: 1 rows"]
        await db.rollback()


@pytest.mark.parametrize("folder", ["logs", "mail"])
async def test_an_account_number_in_a_file_is_found(studio: Studio, folder: str) -> None:
    planted = studio.system.logs.parent / folder / "planted.eml"
    planted.write_text(SAID)
    try:
        found = await of_system(studio.system, studio.observer.databases, studio.business_id)
    finally:
        planted.unlink()
    assert found == [f"{planted}: the account ending 89"]


async def test_an_account_number_that_is_sent_is_never_answered(studio: Studio) -> None:
    """What is wrong with an account is said without it."""
    account = {"account_holder": "Ana", "branch_code": "no branch", "account_number": ACCOUNT_NUMBERS[0]}
    wrong = {"payer_id": studio.ana} | account
    for path in ("/directdebit/v1/mandates/register", "/directdebit/v1/mandates", "/catalog/v1/clients"):
        await studio.owner.make("POST", path, wrong, expect=422)
