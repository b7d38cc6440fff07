"""One service's database: its engine, its transactions, and the lock that binds a transaction to one business."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, TypeVar
from uuid import UUID
from weakref import WeakValueDictionary, ref

import asyncpg
from pydantic import BaseModel
from sqlalchemy import (
    CursorResult,
    DateTime,
    Dialect,
    MetaData,
    Text,
    TextClause,
    TypeDecorator,
    Uuid,
    insert,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shared import plumbing
from shared.clock import BusinessClock
from shared.errors import NotYetKnown
from shared.ids import new_id
from shared.plumbing import NAMES

M = TypeVar("M", bound=BaseModel)


class Row(DeclarativeBase):
    """A table of a service. Each service has its own `Base(Row)` with its own metadata."""

    __abstract__ = True
    type_annotation_map = {datetime: DateTime(timezone=True), UUID: Uuid(), str: Text()}  # noqa: RUF012


def violates(error: IntegrityError, constraint: str) -> bool:
    """Whether it was this constraint that refused."""
    return getattr(error.orig.__cause__, "constraint_name", None) == constraint if error.orig else False


class Stored(TypeDecorator[M]):
    """A frozen pydantic value in a JSONB column."""

    impl = JSONB
    cache_ok = True

    def __init__(self, model: type[M]) -> None:
        super().__init__()
        self.model = model

    def process_bind_param(self, value: M | None, dialect: Dialect) -> Any:
        return None if value is None else value.model_dump(mode="json")

    def process_result_value(self, value: Any, dialect: Dialect) -> M | None:
        return None if value is None else self.model.model_validate(value)


class BusinessRow:
    """A row that belongs to one business; row-level security keeps every other business from it."""

    business_id: Mapped[UUID] = mapped_column(index=True)


def metadata() -> MetaData:
    """The metadata of one service's tables, with names that migrations can rely on."""
    return MetaData(naming_convention=NAMES)


@dataclass(frozen=True, slots=True)
class Business:
    """A business as this service knows it."""

    business_id: UUID
    name: str
    currency: str
    email: str
    clock: BusinessClock


@dataclass(frozen=True, slots=True)
class Context:
    """For whom, by whom and why a transaction runs; every fact it publishes carries this."""

    business_id: UUID
    actor: str
    business_date: date | None = None
    correlation_id: str = field(default_factory=lambda: str(new_id()))
    causation_id: str | None = None
    traceparent: str | None = None


class Db(AsyncSession):
    """A session inside one transaction. Rows are seen, and facts published, only for the business it has entered."""

    context: Context
    business: Business
    """The business of the request; set by `Database.transaction`, not while handling events."""
    machine_now: datetime
    """The database's `now()` at the start of the request's transaction: for deadlines, never for business."""
    publishes = False
    """Whether a statement of this transaction writes facts to the outbox by itself."""
    schedules = False
    """Whether this transaction leaves work for the workers."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.pending: list[dict[str, Any]] = []
        self._entered: tuple[object, UUID] | None = None

    async def enter(self, context: Context) -> None:
        """Bind what follows to one business. What went before is flushed first, under the business it belongs to."""
        await self.flush()
        self.context = context
        if self._entered != self._place():  # a batch is mostly of one business: it need not be told for each event
            await self.execute(SET_BUSINESS, {"id": str(context.business_id)})
            self._entered = self._place()

    async def enter_now(self, context: Context) -> None:
        """Enter on the business's own date and clock. Raises NotYetKnown while its profile has not arrived here."""
        self.context = context
        row = (await self.execute(ENTER_BUSINESS, {"id": str(context.business_id)})).one()
        self._entered = self._place()
        if row.name is None:
            raise NotYetKnown("business", context.business_id)
        clock = BusinessClock(row.zone, row.test_now)
        self.business = Business(context.business_id, row.name, row.currency, row.email, clock)
        self.machine_now = row.machine_now
        self.context = replace(context, business_date=clock.now().date())

    def _place(self) -> tuple[object, UUID]:
        """The transaction, for a business is entered until its end; and the business.

        A transaction that somebody still holds keeps its connection: so it is only referred to.
        """
        transaction = self.sync_session.get_transaction()
        return transaction and ref(transaction), self.context.business_id

    @property
    def now(self) -> datetime:
        """The instant at the business."""
        return self.business.clock.now()

    @property
    def today(self) -> date:
        """The business date of the request, or of the event being handled."""
        if self.context.business_date is None:
            raise RuntimeError("the transaction has entered no business")
        return self.context.business_date


SET_BUSINESS = text("select set_config('punchcard.business', :id, true)")
ENTER_BUSINESS = text(
    "select set_config('punchcard.business', cast(:id as text), true), now() as machine_now, b.* from (select 1) one"
    " left join business b on b.business_id = cast(cast(:id as text) as uuid)"
)
WRITE_OUTBOX = insert(plumbing.outbox).inline()  # nobody asks for the ids

TRY_AGAIN = {"40001", "40P01", "55P03"}
"""Serialization failure, deadlock, lock time-out: the same transaction may well succeed the next time."""


def may_succeed_again(error: BaseException) -> bool:
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in TRY_AGAIN


def is_away(error: BaseException) -> bool:
    """Whether the database (or the network to it) failed, rather than what was asked of it."""
    if isinstance(error, DBAPIError):
        state = getattr(error.orig, "sqlstate", None) or ""
        return error.connection_invalidated or state.startswith(("08", "28", "53", "57P"))
    return isinstance(error, OSError | asyncpg.PostgresConnectionError | asyncpg.InterfaceError | PoolTimeout)


COMMAND_SECONDS = 35
"""Longer than any statement may run: what has not answered by then is not there."""
PRESENCE = {"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"}
"""PostgreSQL looks for us after ten silent seconds: of a machine that is gone it would keep the locks for hours."""


class Database:
    """The engine of one service, and the wake-up calls of its relay and its workers."""

    def __init__(self, url: str, *, pool_size: int = 5, beside: "Database | None" = None) -> None:
        """`beside` another: connections of its own, the same wake-up calls; so that neither can starve the other."""
        self.url = url.replace("postgresql://", "postgresql+asyncpg://", 1)
        self.engine = create_async_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=5,
            hide_parameters=True,  # what a statement was given never shows in an error or a log
            connect_args={
                "timeout": 5,
                "command_timeout": COMMAND_SECONDS,
                "server_settings": {
                    **PRESENCE,
                    "idle_in_transaction_session_timeout": "30s",
                    "statement_timeout": "30s",
                    "lock_timeout": "10s",
                },
            },
        )
        self._sessions = async_sessionmaker(self.engine, class_=Db, expire_on_commit=False)
        self._without_begin = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self.published: asyncio.Event = beside.published if beside else asyncio.Event()
        self.scheduled: asyncio.Event = beside.scheduled if beside else asyncio.Event()
        self.news: WeakValueDictionary[str, asyncio.Event] = beside.news if beside else WeakValueDictionary()
        """Subject → what wakes those who wait in this process for a fact about it."""

    @asynccontextmanager
    async def transaction(self, context: Context | None = None) -> AsyncIterator[Db]:
        """A transaction, entered for the context's business where one is given; commits at the end of the block."""
        async with self._sessions() as db:
            if context:
                await db.enter_now(context)
            yield db
            await self.commit(db)

    async def commit(self, db: Db) -> None:
        """Write the facts of the transaction to the outbox in one statement, commit, and wake the relay."""
        pending, db.pending = db.pending, []
        if pending:
            await db.flush()
            await db.execute(WRITE_OUTBOX, pending)
        await db.commit()
        for fact in pending:
            if news := self.news.get(fact["subject"]):
                news.set()
        if pending or db.publishes:
            self.published.set()
        if db.schedules:
            self.scheduled.set()

    async def alone(self, statement: TextClause, values: dict[str, Any]) -> CursorResult[Any]:
        """A statement that is a transaction by itself, in one round trip instead of three; for what is asked often."""
        async with self._without_begin.connect() as connection:
            return await connection.execute(statement, values)

    async def close(self) -> None:
        await self.engine.dispose()
