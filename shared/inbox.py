"""Facts on their way in: each handled once, together with its effects, in one transaction.

A batch is handled in one transaction; the event that fails is taken out and tried alone, so that it harms no other.
What cannot be handled is set aside in `inbox_failed`: tried again on a schedule, then parked for a person. From there
alone it is handled, however often the bus brings it again.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from uuid import UUID

import orjson
from sqlalchemy import TextClause, text
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from shared import failpoints
from shared.database import Context, Database, Db, is_away, may_succeed_again
from shared.events import Envelope
from shared.handlers import Handlers, Heard
from shared.log import log
from shared.metrics import EVENT_LAG, HANDLED, seconds_since
from shared.retrying import LATER_SECONDS, SCHEDULE_SECONDS, next_try

AT_ONCE = 50
LEASE_SECONDS = 60
TOGETHER_SECONDS = 50
ANSWER_SECONDS = 15

REMEMBER = text(
    "insert into inbox (event_id) select its_id from unnest(cast(:ids as uuid[])) its_id"
    " where not exists (select from inbox_failed where event_id = its_id) on conflict do nothing returning event_id"
)
"""What the bus brings, unless it was handled, or is set aside and waits for its time or for a person."""
RESOLVE = text(
    "with again as (delete from inbox_failed where event_id = any(:ids))"
    " insert into inbox (event_id) select unnest(cast(:ids as uuid[])) on conflict do nothing returning event_id"
)
"""What was set aside, when it is tried again."""
SET_ASIDE = text(
    "insert into inbox_failed (event_id, business_id, type, envelope, error, attempts, next_attempt_at)"
    " values (:event_id, :business_id, :type, :envelope, :error, :attempts,"
    "  now() + make_interval(secs => :seconds))"
    " on conflict (event_id) do update set error = excluded.error, attempts = excluded.attempts,"
    "  next_attempt_at = excluded.next_attempt_at where inbox_failed.next_attempt_at = :leased_until"
)
"""Who parked or replayed it during the try has the last word; what the bus brings again changes nothing."""
LEASE = text(
    "update inbox_failed set attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => :lease)"
    " where event_id in (select event_id from inbox_failed where next_attempt_at <= now()"
    "  order by next_attempt_at limit 1 for update skip locked)"
    " returning envelope, attempts, now() - first_failed_at as age, next_attempt_at as leased_until"
)


@dataclass(frozen=True)
class Tried:
    """How often an event was tried from `inbox_failed`, and under which lease; none where the bus just brought it."""

    attempts: int = 0
    age: timedelta = timedelta()
    leased_until: datetime | None = None


class HandlerFailed(Exception):
    """This event, and no other of the batch, could not be handled."""

    def __init__(self, envelope: Envelope, error: Exception) -> None:
        super().__init__(error)
        self.envelope, self.error = envelope, error


class NotHandledHere(Exception):
    """This version does not know the type: a newer one has subscribed to it, and a retry finds that one."""


class TooSlow(Exception):
    """The handlers took longer than a transaction may; no fault of the database."""


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Raise TooSlow when time is up: a bare TimeoutError would read as a lost connection."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except TimeoutError:
        if limit.expired():
            raise TooSlow(f"longer than {seconds} s") from None
        raise


def parse(body: bytes) -> list[Envelope]:
    """The events of one message. Raises ValueError when the bytes are not a batch of ours."""
    try:
        return [Envelope.parse(item) for item in orjson.loads(body)]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a batch of events: {error!r}") from error


class Consumer:
    """Handles what the bus brings to one service."""

    def __init__(self, service: str, database: Database, handlers: Handlers) -> None:
        self.service = service
        self.database = database
        self.handlers = handlers

    async def process(self, envelopes: Sequence[Envelope], *, suspected: bool = False) -> None:
        """Handle events or set them aside; return when all are committed. Raises only if the database is away.

        `suspected` events may have killed the process before: they are set aside untried, then tried alone under a
        lease whose attempt is committed first, so that a crash counts.
        """
        if suspected:
            for envelope in envelopes:
                await self._set_aside(envelope, "delivered again and again: it may have ended the process", 1, Tried())
            return
        for start in range(0, len(envelopes), AT_ONCE):
            await self._handle_batch(list(envelopes[start : start + AT_ONCE]))

    async def _handle_batch(self, waiting: list[Envelope]) -> None:
        while waiting:
            try:
                await self._together(waiting)
                break
            except HandlerFailed as failed:
                waiting.remove(failed.envelope)
                await self._alone(failed.envelope)
            except Exception as error:
                if is_away(error):
                    raise
                for envelope in waiting:
                    await self._alone(envelope)
                break

    async def _together(self, envelopes: Sequence[Envelope], remember: TextClause = REMEMBER) -> None:
        """One transaction for all; an event already in the inbox, or set aside, is dropped.

        Businesses come in the order of their ids, so that two batches never wait for each other's locks in a circle;
        within a business the events keep their order.
        """
        async with within(TOGETHER_SECONDS), self.database.transaction() as db:
            ids = sorted(envelope.id for envelope in envelopes)
            fresh: set[UUID] = set((await db.execute(remember, {"ids": ids})).scalars())
            failpoints.hit("consumer.deduplicated")
            done: list[Envelope] = []
            for envelope in sorted(envelopes, key=lambda envelope: envelope.businessid):
                if envelope.id in fresh:
                    fresh.remove(envelope.id)
                    done.append(envelope)
            for (_, key), alike in groupby(done, key=lambda envelope: (envelope.businessid, envelope.type)):
                if key in self.handlers.of_lists:
                    await self._handle_list(db, list(alike))
                else:
                    for envelope in alike:
                        await self._handle(db, envelope)
            failpoints.hit("consumer.before_commit")
        failpoints.hit("consumer.after_commit")
        for envelope in done:
            HANDLED.labels(self.service, envelope.type, "done").inc()
            EVENT_LAG.labels(self.service, envelope.type).observe(seconds_since(envelope.time))

    async def _handle(self, db: Db, envelope: Envelope) -> None:
        async with _blaming(envelope):
            handler = self.handlers.by_type.get(envelope.type)
            if handler is None:
                raise NotHandledHere(f"{self.service} does not handle {envelope.type}")
            event = envelope.event()
            await db.enter(_context(envelope))
            await handler(db, event)
            await db.flush()

    async def _handle_list(self, db: Db, envelopes: list[Envelope]) -> None:
        async with _blaming(*envelopes):
            heard = [Heard(envelope.event(), _context(envelope)) for envelope in envelopes]
            await db.enter(heard[0].context)
            await self.handlers.of_lists[envelopes[0].type](db, heard)
            await db.flush()

    async def _alone(self, envelope: Envelope, tried: Tried = Tried()) -> None:
        """Try one event by itself; if it fails, set it aside by the kind of its failure."""
        remember = RESOLVE if tried.leased_until else REMEMBER
        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception(lambda e: may_succeed_again(getattr(e, "error", e))),
                wait=wait_random_exponential(0.02, max=1),
                stop=stop_after_attempt(4),
                reraise=True,
            ):
                with attempt:
                    await self._together([envelope], remember)
        except Exception as error:
            if is_away(error):
                raise
            cause = error.error if isinstance(error, HandlerFailed) else error
            seconds = next_try(cause, tried.attempts, tried.age)
            if seconds == LATER_SECONDS:
                tried = replace(tried, attempts=0)  # waiting is no failure: the schedule begins after it
            await self._set_aside(envelope, f"{type(cause).__name__}: {cause}", seconds, tried)

    async def _set_aside(self, envelope: Envelope, error: str, seconds: float | None, tried: Tried) -> None:
        outcome = "parked" if seconds is None else "retry"
        HANDLED.labels(self.service, envelope.type, outcome).inc()
        log.warning(
            outcome, service=self.service, type=envelope.type, event_id=envelope.id, error=error.partition(":")[0]
        )
        async with asyncio.timeout(ANSWER_SECONDS):
            row = {"event_id": envelope.id, "business_id": envelope.businessid, "type": str(envelope.type)}
            trouble = {"error": error[:2000].replace("\0", ""), "seconds": seconds, "envelope": envelope.text()}
            so_far = {"attempts": tried.attempts, "leased_until": tried.leased_until}
            await self.database.alone(SET_ASIDE, row | trouble | so_far)

    async def retry_due(self) -> int:
        """Try again the one that is due first; return how many were tried. One that ends the process is parked too."""
        async with asyncio.timeout(ANSWER_SECONDS):
            row = (await self.database.alone(LEASE, {"lease": LEASE_SECONDS})).one_or_none()
        if row is None:
            return 0
        envelope = Envelope.parse(orjson.loads(row.envelope))
        tried = Tried(row.attempts, row.age, row.leased_until)
        if tried.attempts > len(SCHEDULE_SECONDS):
            await self._set_aside(envelope, "no try came to an end: it may end the process", None, tried)
        else:
            await self._alone(envelope, tried)
        return 1


def _context(envelope: Envelope) -> Context:
    return Context(
        envelope.businessid,
        envelope.actor,
        envelope.businessdate,
        envelope.correlationid,
        causation_id=str(envelope.id),
        traceparent=envelope.traceparent,
    )


@asynccontextmanager
async def _blaming(envelope: Envelope, *others: Envelope) -> AsyncIterator[None]:
    """Raise HandlerFailed for what goes wrong with one event; which of several it was, nobody knows."""
    try:
        yield
    except Exception as error:
        if others or is_away(error):
            raise
        raise HandlerFailed(envelope, error) from error
