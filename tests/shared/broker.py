"""A broker as an operator's hand reaches it, under names of the test's own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractQueue

from shared.bus import Subscriptions, queues
from shared.bus.rabbit import RabbitBus
from shared.ids import new_id


class Broker:
    """Makes buses on one RabbitMQ, changes what they made behind their back, and removes it at the end."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.prefix = f"test-{new_id()}."
        self._queues = {"events.dead"}

    def bus(self, subscriptions: Subscriptions, url: str | None = None) -> RabbitBus:
        """A bus on this broker; another address may lead to it too."""
        self._queues |= queues(subscriptions).keys()
        return RabbitBus(url or self.url, subscriptions, self.prefix)

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[AbstractChannel]:
        async with await aio_pika.connect(self.url) as connection:
            yield await connection.channel()

    @asynccontextmanager
    async def queue(self, name: str) -> AsyncIterator[AbstractQueue]:
        async with self.channel() as channel:
            yield await channel.get_queue(self.prefix + name)

    async def unbind(self, queue: str, routing_key: str) -> None:
        async with self.queue(queue) as found:
            await found.unbind(self.prefix + "events", routing_key)

    async def delete(self, queue: str) -> None:
        async with self.channel() as channel:
            await channel.queue_delete(self.prefix + queue)

    async def publish(self, routing_key: str, body: bytes) -> None:
        async with self.channel() as channel:
            exchange = await channel.get_exchange(self.prefix + "events")
            await exchange.publish(aio_pika.Message(body, message_id="by hand"), routing_key)

    async def clean(self) -> None:
        async with self.channel() as channel:
            for name in self._queues:
                await channel.queue_delete(self.prefix + name)
            for name in ("events", "events.dead"):
                await channel.exchange_delete(self.prefix + name)
