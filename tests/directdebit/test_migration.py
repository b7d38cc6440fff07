"""What was asked for, sent and taken back before there were runs goes on where it was."""

from datetime import date

import pytest
from sqlalchemy import text

from shared.ids import new_id
from tests.harness.upgrade import older

pytestmark = pytest.mark.servers

MANDATE = text(
    "insert into mandates (mandate_id, business_id, payer_id, provider_mandate, account_ending, state, recorded_by,"
    " recorded_date) values (:id, :business, :id, 'MD123', '78', 'active', 'staff:kim', '2022-09-13')"
)
DEBIT = text(
    "insert into debits (debit_id, business_id, payer_id, mandate_id, amount_minor, currency, charge_date, state,"
    " sequence, provider_ref, review, created_date)"
    " values (:debit, :business, :id, :id, 100, 'AUD', '2022-09-13', :state, 1, :ref, :review, '2022-09-13')"
)
ITEM = text(
    "insert into debit_items (debit_id, business_id, instalment_id, amount_minor, attempt_no, version, live)"
    " values (:debit, :business, :debit, 100, 1, 1, :live)"
)
COLLECTION = text(
    "insert into collections (instalment_id, version, target_minor, currency, collect_date, payer_id, business_id)"
    " values (:debit, 1, :target, 'AUD', '2022-09-13', :id, :business)"
)
DEBITS = [("settled", "PM1", None), ("in_review", "PM2", "returned_by_bank"), ("in_review", "PM3", "two_payments")]


async def test_what_waited_is_due_and_what_came_back_is_asked_for(postgres_url: str, worker: str) -> None:
    async with older("directdebit_0001", postgres_url, worker) as before:
        ids = {"id": new_id(), "business": before.business_id}
        async with before.inside() as connection:
            await connection.execute(MANDATE, ids)
            for state, ref, review in DEBITS:
                debit = {"debit": new_id(), "state": state, "ref": ref, "review": review, "live": state == "settled"}
                for statement in (DEBIT, ITEM, COLLECTION):
                    await connection.execute(statement, ids | debit | {"target": 100})
            for target in (100, 0):
                await connection.execute(COLLECTION, ids | {"debit": new_id(), "target": target})
        await before.upgrade()
        async with before.inside() as connection:
            due = await connection.scalars(text("select next_date from collections where next_date is not null"))
            assert list(due) == [date(2022, 9, 13)], "of all, what no debit was ever made for"
            debits = await connection.execute(text("select state, review, settled_date from debits order by debit_id"))
            assert [tuple(row) for row in debits] == [
                ("settled", None, date(2022, 9, 13)),
                ("in_review", "contradiction", None),
                ("in_review", "two_payments", None),
            ]
            asked = text("select d.provider_ref from work join debits d on d.debit_id = subject_id where kind = 'ask'")
            assert list(await connection.scalars(asked)) == ["PM2"]
        async with before.inside(business=False) as connection:
            for table in ("collections", "debits", "debit_items"):
                assert not await connection.scalar(text(f"select count(*) from {table}")), "the lock is on again"
