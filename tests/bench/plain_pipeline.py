"""The limits of an event pipeline: a message for each, consumed in batches; and the bare rows, without a bus."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
import asyncpg
import orjson
from aio_pika.abc import AbstractIncomingMessage, AbstractQueue

from shared.database import Database
from shared.ids import new_id
from shared.migrations import migrate
from tests.bench.place import Place
from tests.shared.pair import BellRang, tell

AT_ONCE = 500
PREFETCH = 1000
HEARD = "create table if not exists heard (row_id bigint generated always as identity, bell_id uuid, number int)"
READ = f"select id, envelope from outbox order by id limit {AT_ONCE}"
MOVE = (
    "with sent as (delete from outbox where id = any($1::bigint[]) returning *)"
    " insert into event_log (event_id, business_id, type, subject, envelope)"
    " select event_id, business_id, type, subject, envelope from sent"
)
REMEMBER = "insert into inbox (event_id) select unnest($1::uuid[]) on conflict do nothing returning event_id"
EFFECT = "insert into heard (bell_id, number) select * from unnest($1::uuid[], $2::int[])"


class Plain:
    """Two databases like those of a teller and a listener, and nobody who relays between them."""

    def __init__(self, teller: Database, relay: Any, listener: Any, queue: AbstractQueue, channel: Any) -> None:
        self.teller, self.relay, self.listener = teller, relay, listener
        self.queue, self.channel = queue, channel

    async def over_the_bus(self, bells: Sequence[BellRang]) -> float:
        """Events in a second."""
        await tell(self.teller, *bells)
        arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        tag = await self.queue.consume(arrived.put)
        began = time.perf_counter()
        async with asyncio.TaskGroup() as both:
            both.create_task(self._relay())
            both.create_task(self._listen(arrived, len(bells)))
        took = time.perf_counter() - began
        await self.queue.cancel(tag)
        return len(bells) / took

    async def _relay(self) -> None:
        while rows := await self.relay.fetch(READ):
            await asyncio.gather(
                *(
                    self.channel.default_exchange.publish(
                        aio_pika.Message(row["envelope"].encode(), delivery_mode=aio_pika.DeliveryMode.PERSISTENT),
                        routing_key=self.queue.name,
                    )
                    for row in rows
                )
            )
            await self.relay.execute(MOVE, [row["id"] for row in rows])

    async def _listen(self, arrived: asyncio.Queue[AbstractIncomingMessage], many: int) -> None:
        heard = 0
        while heard < many:
            messages = [await arrived.get()]
            while not arrived.empty() and len(messages) < AT_ONCE:
                messages.append(arrived.get_nowait())
            await self._handle([message.body for message in messages])
            await messages[-1].ack(multiple=True)
            heard += len(messages)

    async def by_sql(self, bells: Sequence[BellRang]) -> float:
        """The same rows, a few hundred at a time, from one database straight to the other; events in a second."""
        await tell(self.teller, *bells)
        began = time.perf_counter()
        while rows := await self.relay.fetch(READ):
            await self._handle([row["envelope"] for row in rows])
            await self.relay.execute(MOVE, [row["id"] for row in rows])
        return len(bells) / (time.perf_counter() - began)

    async def _handle(self, bodies: Sequence[bytes | str]) -> None:
        events = {event["id"]: event["data"] for event in map(orjson.loads, bodies)}
        async with self.listener.transaction():
            fresh = [str(row["event_id"]) for row in await self.listener.fetch(REMEMBER, list(events))]
            data = [events[event_id] for event_id in fresh]
            await self.listener.execute(EFFECT, [each["bell_id"] for each in data], [each["number"] for each in data])


@asynccontextmanager
async def plain_pipeline(place: Place) -> AsyncIterator[Plain]:
    await place.names.make("plain_teller", "plain_listener")
    urls = [place.names.url(name) for name in ("plain_teller", "plain_listener")]
    for name, url in zip(("teller", "listener"), urls, strict=True):
        await migrate(name, url)
    teller = Database(urls[0])
    relay, listener = [await asyncpg.connect(url) for url in urls]
    await listener.execute(HEARD)
    connection = await aio_pika.connect(place.amqp_url)
    channel = await connection.channel()
    consuming = await connection.channel()
    await consuming.set_qos(prefetch_count=PREFETCH)
    queue = await consuming.declare_queue(
        f"bench-plain-{new_id().hex[-8:]}", durable=True, arguments={"x-queue-type": "quorum"}
    )
    try:
        yield Plain(teller, relay, listener, queue, channel)
    finally:
        await queue.delete(if_unused=False, if_empty=False)
        await connection.close()
        await relay.close()
        await listener.close()
        await teller.close()
