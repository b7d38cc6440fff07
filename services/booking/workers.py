"""What booking does when a deadline is due."""

from dataclasses import replace

from services.booking import actions
from shared.database import Database
from shared.work import Task, Workers

works = Workers()


@works("decide")
async def give_up_waiting(database: Database, task: Task) -> None:
    """Packages has not answered in time; whatever it answers later, it hears that the booking is refused."""
    async with database.transaction(replace(task.context, actor="service:booking")) as db:
        await actions.give_up(db, task.subject_id, reason="timed_out")
