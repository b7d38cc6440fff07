"""What directdebit does when a debit is to be sent, or a fact of the provider is to be folded."""

from dataclasses import replace
from datetime import timedelta

from services.directdebit.actions import accounts, hearing, sending
from services.directdebit.bank import Absent, Accepted, Bank, Refused, Unknown
from services.directdebit.bank.gocardless import GoCardless
from shared import failpoints
from shared.database import Database
from shared.work import Task, Workers

works = Workers()
KEY_HOLDS = timedelta(hours=24)
"""For so long the provider surely remembers a key. After that a debit is sent again only if a look-up finds none."""


class StillUnknown(Exception):
    """The provider did not say whether it has a debit; the work waits, and asks again."""


@works("submit")
async def submit(database: Database, task: Task) -> None:
    """Send a debit: what is sent is committed before the call, the answer after it. Killed anywhere, one payment."""
    context = replace(task.context, actor="service:directdebit")
    async with database.transaction(context) as db:
        bank: Bank = GoCardless.of(task.settings, await accounts.find(db, task.settings.seal()))
        due = await sending.begin(db, task.subject_id, bank)
    if due is None:
        return
    failpoints.hit("submit.written")
    outcome = await _ask(bank, due)
    failpoints.hit("submit.answered")
    async with database.transaction(context) as db:
        await sending.conclude(db, task.subject_id, outcome)
    if isinstance(outcome, Unknown):
        raise StillUnknown(outcome.why)


async def _ask(bank: Bank, due: sending.Sending) -> Accepted | Refused | Unknown:
    """The first time, send. Again: look it up first, then the same bytes under the same key."""
    if due.again_after is not None:
        found = await bank.look_up(due.debit_id, due.body, due.sent_at)
        if not isinstance(found, Absent) and (isinstance(found, Accepted) or due.again_after > KEY_HOLDS):
            return found
    return await bank.submit(due.debit_id, due.body)


@works("fold")
async def fold(database: Database, task: Task) -> None:
    """Let a fact of the provider count for its debit."""
    async with database.transaction(task.context) as db:
        await hearing.fold(db, task.subject_id)
