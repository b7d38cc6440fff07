"""A request as the doors see it: the caller, a transaction in their business, and an act done once under its key."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar
from uuid import UUID

import orjson
from fastapi import Depends, Header, Request
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_exponential

from shared import failpoints
from shared.auth import Caller, Keys
from shared.database import Context, Database, Db, may_succeed_again
from shared.errors import Forbidden, Invalid, Malformed, NotYetKnown
from shared.http.parameters import refuse_unknown
from shared.ids import new_id
from shared.plumbing import idempotency
from shared.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")

COPY_WAIT_SECONDS = 1.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 0.4
WAIT_SECONDS = 1.5
LONGEST_WAIT_SECONDS = 10.0
CLAIM = insert(idempotency).on_conflict_do_nothing().returning(idempotency.c.key)


class KeyReused(Invalid):
    """This Idempotency-Key was used for another request."""


class Body(BaseModel):
    """What a request may say; a field that nobody knows is refused, for it was meant to do something."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Call:
    """One request of one caller."""

    request: Request
    caller: Caller
    database: Database

    @property
    def context(self) -> Context:
        """For whom and by whom; the business's own date comes with the transaction."""
        state = self.request.state
        return Context(
            self.caller.business_id,
            self.caller.actor,
            correlation_id=state.request_id,
            traceparent=state.traceparent,
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Db]:
        """A transaction in the caller's business, on its clock; waits a moment for a business that is quite new."""
        async with AsyncExitStack() as entered:
            async for attempt in _patiently():
                with attempt:
                    db = await entered.enter_async_context(self.database.transaction(self.context))
            yield db

    @asynccontextmanager
    async def rehearsal(self) -> AsyncIterator[Db]:
        """A transaction that leaves nothing behind: a preview runs the very code of the act (R-52)."""
        async with self.transaction() as db:
            yield db
            await db.rollback()
            db.pending.clear()

    async def once(
        self,
        action: Callable[Concatenate[Db, UUID, P], Awaitable[Any]],
        on: UUID | None = None,
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> UUID:
        """Run an action once under the request's Idempotency-Key; return the id of what it made, or acted `on`.

        A repeat of the request returns the same id and runs nothing; a repeat with another body is refused. An action
        that raises leaves nothing behind, its key included.
        """
        key, fingerprints = self._key(), await self._fingerprints()
        async for attempt in _patiently():
            with attempt:
                async with self.transaction() as db:
                    made_id, first = await self._claim(db, key, fingerprints, on or new_id())
                    if first:
                        await action(db, made_id, *args, **kwargs)
        failpoints.hit("http.committed")
        return made_id

    async def _claim(self, db: Db, key: str, fingerprints: list[str], made_id: UUID) -> tuple[UUID, bool]:
        """The id under this key, and whether we are the first. Waits for a first that is still under way."""
        owner = {"business_id": self.caller.business_id, "subject": self.caller.sub, "key": key}
        claim = owner | {"fingerprint": fingerprints[0], "made_id": made_id}
        if (await db.execute(CLAIM, claim)).first():
            return made_id, True
        earlier = (await db.execute(select(idempotency).filter_by(**owner))).one()
        if earlier.fingerprint not in fingerprints:
            raise KeyReused("Use a new key for a new request; repeat a request only with its very body.")
        return earlier.made_id, False

    def _key(self) -> str:
        key = self.request.headers.get("Idempotency-Key", "").strip().strip('"')
        if not 8 <= len(key) <= 255:
            raise Malformed("Send the header Idempotency-Key, 8 to 255 characters, a new one for each new request.")
        return key

    async def _fingerprints(self) -> list[str]:
        """Method, path and canonical body: the order of a body's fields does not make it another request.

        Where the service has keys it is marked under them: a body may hold an account number, and those can be guessed.
        """
        body = await self.request.body()
        try:
            canonical = orjson.dumps(orjson.loads(body), option=orjson.OPT_SORT_KEYS) if body else b""
        except ValueError:
            raise Malformed("The body is not valid JSON.") from None
        content = b"\0".join((self.request.method.encode(), self.request.url.path.encode(), canonical))
        settings: Settings = self.request.app.state.settings
        return settings.seal().marks(content) or [hashlib.sha256(content).hexdigest()]

    async def wait(
        self, subject: UUID, look: Callable[[Db], Awaitable[T]], settled: Callable[[T], bool], waiting: float
    ) -> T:
        """Look at the outcome of an act that other services complete, until it is settled or `waiting` seconds passed.

        A fact about the `subject` is the time to look. Looks now and then all the same: another replica may tell it,
        or nobody.
        """
        news = self.database.news.setdefault(str(subject), asyncio.Event())
        loop = asyncio.get_running_loop()
        give_up, pause = loop.time() + waiting, 0.02
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(min(loop.time() + pause, give_up)):
                    await news.wait()
            news.clear()
            async with self.transaction() as db:
                seen = await look(db)
            if settled(seen) or loop.time() >= give_up:
                return seen
            pause = min(pause * 2, 0.2)


def _patiently() -> AsyncRetrying:
    """Tries again, for a second, what needs a copy that has not arrived, or met a deadlock; it holds nothing meanwhile.

    The pauses grow: the business of a token may also be one that nobody ever describes.
    """
    return AsyncRetrying(
        retry=retry_if_exception(lambda error: isinstance(error, NotYetKnown) or may_succeed_again(error)),
        wait=wait_exponential(FIRST_PAUSE_SECONDS, max=LONGEST_PAUSE_SECONDS),
        stop=stop_after_delay(COPY_WAIT_SECONDS),
        reraise=True,
    )


_bearer = HTTPBearer(auto_error=False, description="A token of the configured issuer")


async def _signed(request: Request, _: Annotated[object, Depends(_bearer)]) -> Call:
    keys: Keys = request.app.state.keys
    caller = await keys.verify(request.headers.get("Authorization"))
    request.state.caller = caller  # for the line in the log
    refuse_unknown(request)
    return Call(request, caller, request.app.state.database)


Signed = Annotated[Call, Depends(_signed)]
"""A call with a valid token, staff's or a client's; the action decides what they may touch."""


def Permitted(*permissions: str, clients: bool = False) -> Any:  # noqa: N802 — reads as the type it annotates with
    """A call by staff (or a service) with one of the permissions; by clients too, for what is theirs, if so said."""

    async def permitted(call: Signed) -> Call:
        if not (call.caller.permissions.intersection(permissions) or (clients and call.caller.is_client)):
            raise Forbidden(f"Ask for a token with the permission {' or '.join(permissions)}.", permissions=permissions)
        return call

    return Depends(permitted)


async def _waiting(
    prefer: Annotated[str | None, Header(description="wait=<seconds> or respond-async")] = None,
) -> float:
    """Seconds to wait for an outcome: `Prefer: wait=2`, `Prefer: respond-async` (RFC 7240), or the default."""
    for preference in (prefer or "").lower().replace(";", ",").split(","):
        name, _, value = preference.strip().partition("=")
        if name == "respond-async":
            return 0.0
        if name == "wait" and value.strip().isdecimal():
            return min(float(value), LONGEST_WAIT_SECONDS)
    return WAIT_SECONDS


Waiting = Annotated[float, Depends(_waiting)]
