"""Work that is due: an outward call, or a short deadline. Rows in the service's database, leased, in machine time.

A piece of work is committed together with the fact that causes it, done outside any transaction of ours, and done
again if the process dies: what it does must be safe to repeat.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Interval, bindparam, delete, func, text
from sqlalchemy.dialects.postgresql import insert

from shared.database import Context, Database, Db
from shared.errors import told
from shared.leaving import finished
from shared.log import log
from shared.plumbing import now, work
from shared.settings import Settings

POLL_SECONDS = 0.5
AT_ONCE = 8
LEASE_SECONDS = 60
WORK_SECONDS = 50
LONGEST_PAUSE_SECONDS = 300
_new = insert(work).values(due_at=now + bindparam("after", type_=Interval()))
LEAVE = _new.on_conflict_do_update(
    index_elements=work.primary_key,
    set_={"attempts": 0, "due_at": func.greatest(work.c.due_at, _new.excluded.due_at)},
    where=work.c.attempts > 0,
)
LEASE = text(
    "update work set attempts = attempts + 1, due_at = now() + make_interval(secs => :lease)"
    " where (kind, subject_id) = (select due.kind, due.subject_id"
    "  from unnest(cast(:kinds as text[])) with ordinality as wanted (kind, place)"
    "  cross join lateral (select kind, subject_id from work where work.kind = wanted.kind and due_at <= now()"
    "   order by due_at limit 1 for update skip locked) due"
    "  order by place limit 1)"
    " returning kind, subject_id, attempts, due_at, context"
)
"""Of the first kind that has any, the piece that is due first."""
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


async def schedule(db: Db, kind: str, *subject_ids: UUID, after: timedelta = timedelta()) -> None:
    """Leave a piece of work about each subject, due after this long; leaving it twice is leaving it once.

    Left again while it is in hand, it is done once more: what it saw may be older than the reason to do it.
    """
    context = {name: str(value) for name, value in asdict(db.context).items() if value is not None}
    row = {"kind": kind, "business_id": db.context.business_id, "context": context, "after": after}
    if subject_ids:
        await db.execute(LEAVE, [row | {"subject_id": subject_id} for subject_id in subject_ids])
        db.schedules = True


async def done(db: Db, kind: str, subject_id: UUID) -> None:
    """Nobody needs to do this any more."""
    await db.execute(delete(work).where(work.c.kind == kind, work.c.subject_id == subject_id))


async def take(database: Database, settings: Settings, kinds: Sequence[str]) -> Task | None:
    """The next piece of work that is due, leased; of the first of these kinds that has any."""
    row = (await database.alone(LEASE, {"lease": LEASE_SECONDS, "kinds": kinds})).one_or_none()
    if row is None:
        return None
    return Task(row.kind, row.subject_id, row.attempts, row.due_at, _context(row.context), settings)


async def do(database: Database, workers: Workers, task: Task) -> None:
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
    try:
        noted = (await database.alone(verdict, row)).rowcount
        if not noted and (await database.alone(RELEASE, piece)).rowcount:
            database.scheduled.set()
    except Exception as error:  # noqa: BLE001 — its lease runs out, and it is done again; the others go on
        log.warning("not_noted", kind=task.kind, subject_id=task.subject_id, error=told(error))


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
    """Do what becomes due, a few pieces at once; who is ready takes the next one, so that a slow piece holds up none.

    One at a time waits for work: woken by this process, and looking now and then for what others left. The kind of
    which the fewest are in hand comes first, so that a flood of one kind leaves room for the others.
    """
    waiting = asyncio.Lock()
    in_hand = Counter(dict.fromkeys(workers.by_kind, 0))

    async def next_piece() -> Task:
        while True:
            database.scheduled.clear()
            if task := await take(database, settings, sorted(in_hand, key=in_hand.__getitem__)):
                return task
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await database.scheduled.wait()

    async def work() -> None:
        while True:
            async with waiting:
                task = await next_piece()
                in_hand[task.kind] += 1
            try:
                await finished(do(database, workers, task))
            finally:
                in_hand[task.kind] -= 1

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())
