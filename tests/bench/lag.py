"""S4: how long a fact takes from the commit that made it true to the commit of what follows from it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from shared.ids import new_id
from tests.bench.figures import Figure, Found, Goal, percentile
from tests.bench.pipeline import Timed, listening_pair
from tests.bench.place import Place
from tests.shared.pair import BellRang, Pair

PER_SECOND = 50

Lags = list[float]


async def _steadily(many: int, act: Callable[[int], Awaitable[None]]) -> None:
    """Act so many times a second, each time as a task of its own."""
    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(many):
            await asyncio.sleep(max(0.0, began + number / PER_SECOND - time.perf_counter()))
            tasks.create_task(_once(act, number))


async def _once(act: Callable[[int], Awaitable[None]], number: int) -> None:
    await act(number)


async def facts(made: Pair, consumer: Timed, many: int) -> Lags:
    """Milliseconds of each fact."""
    consumer.count_from(many)
    committed: dict[int, float] = {}

    async def tell(number: int) -> None:
        await made.tell(BellRang(bell_id=new_id(), number=number))
        committed[number] = time.perf_counter()

    await _steadily(many, tell)
    await consumer.all_heard.wait()
    return [(consumer.heard[number] - at) * 1000 for number, at in committed.items()]


class Bare:
    """A quorum queue, and nothing around it."""

    def __init__(self, exchange: aio_pika.abc.AbstractExchange, queue: aio_pika.abc.AbstractQueue) -> None:
        self.exchange, self.queue = exchange, queue
        self.arrived: dict[int, float] = {}

    async def hear(self, message: AbstractIncomingMessage) -> None:
        self.arrived[int(message.body)] = time.perf_counter()
        await message.ack()

    async def messages(self, many: int) -> Lags:
        """Milliseconds of each message, from the call that publishes it."""
        self.arrived.clear()
        sent: dict[int, float] = {}

        async def publish(number: int) -> None:
            sent[number] = time.perf_counter()
            body = str(number).encode()
            message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
            await self.exchange.publish(message, routing_key=self.queue.name)

        await _steadily(many, publish)
        while len(self.arrived) < many:  # noqa: ASYNC110 — a few milliseconds
            await asyncio.sleep(0.005)
        return [(self.arrived[number] - at) * 1000 for number, at in sent.items()]


@asynccontextmanager
async def bare(url: str) -> AsyncIterator[Bare]:
    async with await aio_pika.connect(url) as connection:
        channel, consuming = await connection.channel(), await connection.channel()
        name = f"bench-bare-{new_id().hex[-8:]}"
        queue = await consuming.declare_queue(name, durable=True, arguments={"x-queue-type": "quorum"})
        made = Bare(channel.default_exchange, queue)
        await queue.consume(made.hear)
        yield made
        await consuming.queue_delete(name)


async def measure(place: Place) -> list[Found]:
    many = place.sizes.lag_events
    ours: list[Lags] = []
    raw: list[Lags] = []
    async with listening_pair(place) as (made, consumer), bare(place.amqp_url) as queue:
        for _ in range(place.sizes.rounds):
            ours.append(await facts(made, consumer, many))
            raw.append(await queue.messages(many))
    work = f"event lag, commit to the handler's commit, at {PER_SECOND} a second"
    limit = "a bare message, published to received, over a quorum queue"
    middle, slow = ([[percentile(lags, part) for lags in of] for of in (ours, raw)] for part in (0.5, 0.99))
    return [
        Figure("S4", f"{work}: the middle one", "ms", middle[0], Goal(4, at_most=True), middle[1], limit),
        Figure("S4", "the 99th of 100", "ms", slow[0], Goal(60, at_most=True, of_ratio=False), slow[1], limit),
    ]
