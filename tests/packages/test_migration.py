"""What was sold before there were lots gets the lot that its sale brought."""

from datetime import date

import pytest
from sqlalchemy import text

from shared.ids import new_id
from tests.harness.upgrade import older

pytestmark = pytest.mark.servers

SOLD = text(
    "insert into packages (package_id, business_id, client_id, payer_id, template_id, template_version, terms,"
    " post_bill, start_date, first_due_date, auto_pay, sold_date, state, allocated, adjusted, held, consumed) values"
    " (:id, :business, :id, :id, :id, 1, jsonb_build_object('form', 'recurring', 'rollover', cast(:rollover as text),"
    " 'frequency', cast(:frequency as text)), :post_bill, '2023-01-30', '2023-01-31', false, '2023-01-30', 'active',"
    " :size, 0, 0, 0)"
)
BEFORE = [("reset", "weekly"), ("reset", "fortnightly"), ("reset", "monthly"), ("add", "weekly"), (None, None)]


async def test_packages_sold_before_have_one_lot(postgres_url: str, worker: str) -> None:
    async with older("packages_0001", postgres_url, worker) as before:
        async with before.inside() as connection:
            for size, (rollover, frequency) in enumerate(BEFORE):
                row = {"id": new_id(), "business": before.business_id, "size": size}
                terms = {"rollover": rollover, "frequency": frequency, "post_bill": frequency is None}
                await connection.execute(SOLD, row | terms)
        await before.upgrade()
        async with before.inside() as connection:
            found = await connection.execute(text("select size, valid_from, valid_to, ended from lots order by size"))
            assert [tuple(row) for row in found] == [
                (0, date(2023, 1, 30), None, False),
                (1, date(2023, 1, 30), None, False),
                (2, date(2023, 1, 30), None, False),
                (3, date(2023, 1, 30), None, False),
            ]
            opened = await connection.execute(text("select periods_opened from packages order by package_id"))
            assert list(opened.scalars()) == [1, 1, 1, 1, 0]
        async with before.inside(business=False) as connection:
            assert await connection.scalar(text("select count(*) from packages")) == 0, "the lock is on again"
