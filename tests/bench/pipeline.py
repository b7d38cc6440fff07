"""S2 and S3: a fact from the outbox of one service to the inbox of another, with one effect."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from shared.bus import Subscriptions
from shared.bus.rabbit import RabbitBus
from shared.events import Envelope
from shared.ids import new_id
from shared.inbox import Consumer
from tests.bench.figures import Figure, Found, Goal
from tests.bench.place import Place
from tests.bench.plain_pipeline import plain_pipeline
from tests.shared.pair import BellRang, Pair, pair


class Timed(Consumer):
    """A consumer that notes when the effects of each event were committed."""

    def count_from(self, many: int) -> None:
        """Forget what was; `all_heard` is set when so many more have been handled."""
        self.heard: dict[int, float] = {}
        self.many, self.all_heard = many, asyncio.Event()

    async def process(self, envelopes: Sequence[Envelope], *, suspected: bool = False) -> None:
        await super().process(envelopes, suspected=suspected)
        now = time.perf_counter()
        self.heard |= {envelope.data["number"]: now for envelope in envelopes}
        if len(self.heard) >= self.many:
            self.all_heard.set()


def timed(consumer: Consumer) -> Timed:
    return Timed(consumer.service, consumer.database, consumer.handlers)


@asynccontextmanager
async def listening_pair(place: Place) -> AsyncIterator[tuple[Pair, Timed]]:
    """Two small services over RabbitMQ, connected; and the consumer of the one that listens."""
    prefix = f"bench-{new_id().hex[-8:]}."

    def make_bus(subscriptions: Subscriptions) -> RabbitBus:
        return RabbitBus(place.amqp_url, subscriptions, prefix)

    async with pair(place.names, place.system.issuer, make_bus, listening=False) as made:
        consumer = made.listener.consumer = timed(made.listener.consumer)
        consumer.count_from(1)
        await made.listener.start()
        await made.tell(BellRang(bell_id=new_id(), number=0))
        await consumer.all_heard.wait()
        yield made, consumer


async def measure(place: Place) -> list[Found]:
    sizes = place.sizes
    bells = [BellRang(bell_id=new_id(), number=number) for number in range(sizes.events)]
    ours, messages, raw = [], [], []
    async with plain_pipeline(place) as plain, listening_pair(place) as (made, consumer):
        for _ in range(sizes.rounds):
            consumer.count_from(len(bells))
            await made.tell(*bells)
            began = time.perf_counter()
            await consumer.all_heard.wait()
            ours.append(len(bells) / (time.perf_counter() - began))
            messages.append(await plain.over_the_bus(bells))
            raw.append(await plain.by_sql(bells))
    work = f"{sizes.events:,} events, outbox → RabbitMQ quorum queue → inbox and one effect, a handler each"
    return [
        Figure(
            "S2",
            work,
            "/s",
            ours,
            Goal(2),
            messages,
            "aio-pika and asyncpg, a message per event, consumed in batches, set-based effects",
            "A handler that takes an event each; bulk types are handled as lists",
        ),
        Figure("S3", "the same", "/s", ours, Goal(0.4), raw, "raw SQL of the same rows, 500 at a time, no bus"),
    ]
