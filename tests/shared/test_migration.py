"""What waited in the plumbing of an earlier version goes out and is known as before."""

import pytest
from sqlalchemy import text

from shared.ids import new_id
from shared.outbox import READ
from tests.harness.upgrade import older

pytestmark = pytest.mark.servers


async def test_facts_that_waited_are_fresh_and_keep_their_order(postgres_url: str, worker: str) -> None:
    events = [new_id() for _ in range(3)]
    async with older("directdebit_0002", postgres_url, worker) as before:
        async with before.inside() as connection:
            for event_id in events:
                fact = {"event": event_id, "business": before.business_id, "envelope": str(event_id)}
                await connection.execute(
                    text(
                        "insert into outbox (event_id, business_id, type, subject, envelope)"
                        " values (:event, :business, 'type', 'subject', :envelope)"
                    ),
                    fact,
                )
                await connection.execute(text("insert into inbox (event_id) values (:event)"), fact)
        await before.upgrade()
        async with before.inside() as connection:
            assert [row.envelope for row in await connection.execute(READ)] == [str(event) for event in events]
            assert await connection.scalar(text("select count(*) from inbox")) == 3
            assert await connection.scalar(text("select count(*) from outbox where attempts = 0")) == 3
