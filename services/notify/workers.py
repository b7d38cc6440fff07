"""What notify does when a message is due."""

from services.notify import actions, rules
from services.notify.channels import Channel, Undeliverable
from services.notify.channels.email import Email
from services.notify.tables import Failed, Sent
from shared import failpoints
from shared.database import Database
from shared.log import log
from shared.work import Task, Workers

works = Workers()


@works("send")
async def send(database: Database, task: Task) -> None:
    """Hand a message over. If we die before it is marked, it goes out again under the same Message-ID."""
    channel: Channel = Email.of(task.settings)
    async with database.transaction(task.context) as db:
        message = await actions.take(db, task.subject_id)
    if message is None:
        return
    failure: Failed | None = None
    try:
        await channel.send(message)
        failpoints.hit("send.handed_over")
    except Undeliverable as error:
        failure = Failed(str(error))
    except Exception as error:
        if rules.retries(task.attempts):
            raise
        failure = Failed(f"given up: {type(error).__name__}")
    if failure:
        log.error("message_failed", message_id=task.subject_id, reason=failure.reason)
    async with database.transaction(task.context) as db:
        await actions.conclude(db, task.subject_id, failure or Sent(db.machine_now))
