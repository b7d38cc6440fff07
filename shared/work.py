"""Work that is due: an outward call, or a short deadline. Rows in the service's database, leased, in machine time.

A piece of work is committed together with the fact that causes it, done outside any transaction of ours, and done
again if the process dies: what it does must be safe to repeat.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, func, text
from sqlalchemy.dialects.postgresql import insert

from shared.database import Context, Database, Db
from shared.errors import told
from shared.log import log
from shared.plumbing import now, work
from shared.settings import Settings

POLL_SECONDS = 0.5
AT_ONCE = 8
LEASE_SECONDS = 60
WORK_SECONDS = 50
LONGEST_PAUSE_SECONDS = 300
LEASE = text(
    "update work set attempts = attempts + 1, due_at = now() + make_interval(secs => :lease)"
    " where (kind, subject_id) in (select kind, subject_id from work where kind = any(:kinds) and due_at <= now()"
    "  order by due_at limit :most for update skip locked)"
    " returning kind, subject_id, attempts, due_at, context"
)
DONE = text("delete from work where kind = :kind and subject_id = :subject_id and attempts = :attempts")
POSTPONE = text(
    "update work set due_at = now() + make_interval(secs => :pause), error = :error"
    " where kind = :kind and subject_id = :subject_id and attempts = :attempts"
)
RELEASE = text(
    "update work set due_at = now()"
    " where kind = :kind and subject_id = :subject_id and attempts = 0 and due_at = :until"
)
"""Work that was left again while it was in hand has no attempts, so that neither of the above is about it."""


@dataclass(frozen=True)
class Task:
    """One piece of work in hand: of what kind, about what, the how-manieth try, and for whom."""

    kind: str
    subject_id: UUID
    attempts: int
    leased_until: datetime
    context: Context
    settings: Settings
    """How this process reaches the world outside."""


Worker = Callable[[Database, Task], Awaitable[None]]


class Workers:
    """A service's workers: one function per kind of work."""

    def __init__(self) -> None:
        self.by_kind: dict[str, Worker] = {}

    def __call__(self, kind: str) -> Callable[[Worker], Worker]:
        """`@works("send")` names what a function does. When it returns, the work is done; when it raises, it waits."""

        def register(worker: Worker) -> Worker:
            self.by_kind[kind] = worker
            return worker

        return register


async def schedule(db: Db, kind: str, subject_id: UUID, *, after: timedelta = timedelta()) -> None:
    """Leave a piece of work, due after this long; leaving it twice is leaving it once.

    Left again while it is in hand, it is done once more: what it saw may be older than the reason to do it.
    """
    context = {name: str(value) for name, value in asdict(db.context).items() if value is not None}
    row = {"kind": kind, "subject_id": subject_id, "business_id": db.context.business_id, "context": context}
    new = insert(work).values(**row, due_at=now + after)
    again = {"attempts": 0, "due_at": func.greatest(work.c.due_at, new.excluded.due_at)}
    await db.execute(new.on_conflict_do_update(index_elements=work.primary_key, set_=again, where=work.c.attempts > 0))
    db.schedules = True


async def done(db: Db, kind: str, subject_id: UUID) -> None:
    """Nobody needs to do this any more."""
    await db.execute(delete(work).where(work.c.kind == kind, work.c.subject_id == subject_id))


async def work_once(database: Database, workers: Workers, settings: Settings) -> int:
    """Do what is due, a few at once; return how many were tried."""
    async with database.transaction() as db:
        lease = {"lease": LEASE_SECONDS, "kinds": list(workers.by_kind), "most": AT_ONCE}
        due = (await db.execute(LEASE, lease)).all()
    tasks = [Task(row.kind, row.subject_id, row.attempts, row.due_at, _context(row.context), settings) for row in due]
    await asyncio.gather(*(_do(database, workers, task) for task in tasks))
    return len(tasks)


async def _do(database: Database, workers: Workers, task: Task) -> None:
    """One try. It ends before its lease does: then another worker may begin."""
    piece = {"kind": task.kind, "subject_id": task.subject_id, "attempts": task.attempts, "until": task.leased_until}
    verdict, row = DONE, piece
    try:
        async with asyncio.timeout(WORK_SECONDS):
            await workers.by_kind[task.kind](database, task)
    except Exception as error:  # noqa: BLE001 — whatever it is, the work waits
        pause = min(2**task.attempts, LONGEST_PAUSE_SECONDS)
        log.warning("postponed", kind=task.kind, subject_id=task.subject_id, seconds=pause, error=told(error))
        verdict, row = POSTPONE, piece | {"pause": pause, "error": told(error)[:2000].replace("\0", "")}
    async with database.transaction() as db:
        await db.execute(verdict, row)
        await db.execute(RELEASE, piece)


def _context(stored: dict[str, str]) -> Context:
    return Context(
        UUID(stored["business_id"]),
        stored["actor"],
        None,
        stored["correlation_id"],
        stored.get("causation_id"),
        stored.get("traceparent"),
    )


async def work_forever(database: Database, workers: Workers, settings: Settings) -> None:
    """Do what becomes due; woken by this process, and looking now and then for what others left."""
    while True:
        database.scheduled.clear()
        if not await work_once(database, workers, settings):
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await database.scheduled.wait()
