"""What catalog does when a day starts at a business that lives in real time."""

from services.catalog import actions
from shared.database import Context, Database
from shared.work import Task, Workers

works = Workers()


@works("start_day")
async def start_day(database: Database, task: Task) -> None:
    """Tell the date that has started, and wait for the next; each day is a cause of its own."""
    async with database.transaction(Context(task.context.business_id, "service:catalog")) as db:
        await actions.start_days(db, await actions.find_business(db, task.subject_id, lock=True))
