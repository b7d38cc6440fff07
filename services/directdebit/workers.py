"""What directdebit does when a day's run, a debit, a mandate, a question or a fact of the provider is due."""

from dataclasses import replace
from datetime import timedelta

from services.directdebit.actions import accounts, hearing, mandates, restoring, running, sending
from services.directdebit.bank import Absent, Accepted, Bank, Refused, Unknown
from services.directdebit.bank.gocardless import GoCardless
from shared import failpoints
from shared.database import Context, Database, Db
from shared.ids import new_id
from shared.work import Task, Workers

works = Workers()
KEY_HOLDS = timedelta(hours=24)
"""For so long the provider surely remembers a key. After that a debit is sent again only if a look-up finds none."""


class StillUnknown(Exception):
    """The provider did not say; the work waits, and asks again."""


class StillComing(Exception):
    """Not all that a day announced is here; the run waits."""


def _by_itself(task: Task) -> Context:
    return replace(task.context, actor="service:directdebit")


async def _bank(db: Db, task: Task) -> Bank:
    return GoCardless.of(task.settings, await accounts.find(db, task.settings.seal()))


@works("run")
async def run(database: Database, task: Task) -> None:
    """Debit what is due by a billed day, once all that the day announced is here; killed anywhere, each thing once."""
    run_id = new_id()
    state = "more"
    while state == "more":
        async with database.transaction(_by_itself(task)) as db:
            await restoring.refuse_while_held(db)
            state = await running.run_day(db, run_id)
        failpoints.hit("run.committed")
    if state == "waits":
        raise StillComing


@works("submit")
async def submit(database: Database, task: Task) -> None:
    """Send a debit: what is sent is committed before the call, the answer after it. Killed anywhere, one payment."""
    context = _by_itself(task)
    async with database.transaction(context) as db:
        await restoring.refuse_while_held(db)
        bank = await _bank(db, task)
        due = await sending.begin(db, task.subject_id, bank)
    if due is None:
        return
    failpoints.hit("submit.written")
    outcome = await _send(bank, due)
    failpoints.hit("submit.answered")
    async with database.transaction(context) as db:
        await sending.conclude(db, task.subject_id, outcome)
    if isinstance(outcome, Unknown):
        raise StillUnknown(outcome.why)


async def _send(bank: Bank, due: sending.Sending) -> Accepted | Refused | Unknown:
    """The first time, send. Again: look it up first, then the same bytes under the same key."""
    if due.again_after is not None:
        found = await bank.look_up(due.debit_id, due.body, due.since)
        if not isinstance(found, Absent) and (isinstance(found, Accepted) or due.again_after > KEY_HOLDS):
            return found
    return await bank.submit(due.debit_id, due.body)


@works("register")
async def register(database: Database, task: Task) -> None:
    """Register a payer's mandate with the provider: asked again under the same keys, it makes no second one (CC-20)."""
    async with database.transaction(_by_itself(task)) as db:
        bank = await _bank(db, task)
        account = await mandates.to_register(db, task.subject_id, task.settings.seal())
    if account is None:
        return
    outcome = await bank.register(task.subject_id, account)
    failpoints.hit("register.answered")
    if isinstance(outcome, Unknown):
        raise StillUnknown(outcome.why)
    async with database.transaction(_by_itself(task)) as db:
        await mandates.conclude_registration(db, task.subject_id, outcome)


@works("ask")
async def ask(database: Database, task: Task) -> None:
    """Ask the provider how a payment stands of which it has told what does not fit, or did not when it told it."""
    async with database.transaction(_by_itself(task)) as db:
        bank = await _bank(db, task)
        provider_ref = await hearing.in_question(db, task.subject_id)
    if provider_ref is None:
        return
    answer = await bank.status(provider_ref)
    async with database.transaction(_by_itself(task)) as db:
        await hearing.take_answer(db, task.subject_id, provider_ref, answer)
    if isinstance(answer, Unknown):
        raise StillUnknown(answer.why)


@works("fold")
async def fold(database: Database, task: Task) -> None:
    """Let a fact of the provider count for its debit or mandate."""
    async with database.transaction(task.context) as db:
        await hearing.fold(db, task.subject_id)
