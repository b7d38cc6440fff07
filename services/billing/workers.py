"""What billing does when days wait to be billed."""

import asyncio
from dataclasses import replace

from services.billing.actions import daily
from shared import failpoints
from shared.database import Database
from shared.work import Task, Workers, schedule

works = Workers()
AT_A_TIME_SECONDS = 30
"""A run leaves work for the next one before its lease could end."""


@works("bill_days")
async def bill_days(database: Database, task: Task) -> None:
    """Bill the days that have started, a bounded piece in each transaction: killed anywhere, it goes on from there."""
    context = replace(task.context, actor="service:billing")
    clock = asyncio.get_running_loop()
    give_way = clock.time() + AT_A_TIME_SECONDS
    more = True
    while more:
        async with database.transaction() as db:
            await db.enter(context)
            more = await daily.bill_next(db)
            if more and clock.time() > give_way:
                await schedule(db, "bill_days", context.business_id)
                more = False
        failpoints.hit("day.committed")
