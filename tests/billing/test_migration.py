"""What was billed before debits could fail after all keeps its meaning."""

import pytest
from sqlalchemy import text

from shared.ids import new_id
from tests.harness.upgrade import older

pytestmark = pytest.mark.servers

SOLD = text(
    "insert into billed_packages (package_id, business_id, client_id, payer_id, name, post_bill, currency,"
    " first_due_date, auto_pay, next_index)"
    " values (:id, :business, :id, :id, 'x', false, 'AUD', '2022-09-13', true, 2)"
)
INVOICED = text(
    "insert into invoices (invoice_id, business_id, number, package_id, period_index, client_id, payer_id, total_minor,"
    " currency, issued_date) values (:id, :business, 1, :id, 1, :id, :id, 300, 'AUD', '2022-09-13')"
)
OWED = text(
    "insert into instalments (instalment_id, business_id, invoice_id, position, due_date, amount_minor, paid_minor,"
    " state, collection_version) values (:part, :business, :id, :position, '2022-09-13', 100, :paid, :state, :version)"
)
HEARD = text(
    "insert into debit_facts (debit_id, business_id, instalment_id, sequence, state, attempt_no, collected_minor,"
    " in_flight_minor, final, fact_date, recorded_at)"
    " values (:id, :business, :part, :sequence, :state, 1, 0, 0, false, '2022-09-13', :at)"
)
PARTS = [(0, "due", 0), (30, "due", 2), (0, "void", 2)]
FACTS = [(1, "submitted", 1), (2, "declined", 3), (3, "declined", 2)]


async def test_what_was_asked_for_and_told_before_is_known(postgres_url: str, worker: str) -> None:
    async with older("billing_0002", postgres_url, worker) as before:
        ids = {"id": new_id(), "business": before.business_id}
        async with before.inside() as connection:
            for statement in (SOLD, INVOICED):
                await connection.execute(statement, ids)
            for position, (paid, state, version) in enumerate(PARTS, start=1):
                part = {"part": new_id(), "position": position, "paid": paid, "state": state, "version": version}
                await connection.execute(OWED, ids | part)
            for sequence, state, minute in FACTS:
                at = await connection.scalar(text("select now() + make_interval(mins => :minute)"), {"minute": minute})
                fact = {"part": part["part"], "sequence": sequence, "state": state, "at": at}
                await connection.execute(HEARD, ids | fact)
        await before.upgrade()
        async with before.inside() as connection:
            targets = await connection.scalars(text("select target_minor from instalments order by position"))
            assert list(targets) == [0, 70, 0]
            told = await connection.scalars(text("select sequence from debit_facts where told"))
            assert list(told) == [3], "the first that was heard"
        async with before.inside(business=False) as connection:
            for table in ("instalments", "debit_facts"):
                assert not await connection.scalar(text(f"select count(*) from {table}")), "the lock is on again"
