"""RabbitMQ. Crash-only: any trouble closes the session, and the supervisor builds another by the same code.

Publishing and consuming have a connection each: a memory alarm blocks publishing, and must not block acknowledgements
(rabbitmq.com/docs/alarms); a dead queue must not stop the relay. Works on RabbitMQ 3.10 and 4.x.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractIncomingMessage
from aio_pika.exceptions import DeliveryError
from pamqp.commands import Basic
from pamqp.common import FieldValue

from shared import failpoints
from shared.bus import Subscriptions, queues
from shared.events import Envelope
from shared.inbox import Consumer, parse
from shared.leaving import finished
from shared.log import log
from shared.metrics import BUS_SESSIONS, CONSUMER_ATTACHED
from shared.outbox import Batch

EXCHANGE, DEAD = "events", "events.dead"
QUEUE_ARGUMENTS: dict[str, FieldValue] = {
    "x-queue-type": "quorum",
    "x-delivery-limit": 100,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}
PREFETCH = 5
RPC_SECONDS = PUBLISH_SECONDS = 15
CLOSE_SECONDS = 2
HEARTBEAT_SECONDS = 10
SUSPECTED_AFTER = 2

T = TypeVar("T")


async def guarded(rpc: Awaitable[T], seconds: float | None = None) -> T:
    """Await a call to the broker, which has no time-out of its own and ends in CancelledError on a dead connection.

    Raises ConnectionError instead, unless it is this task that is being cancelled.
    """
    try:
        async with asyncio.timeout(seconds or RPC_SECONDS):
            return await rpc
    except TimeoutError as error:
        raise ConnectionError("the broker did not answer in time") from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task and task.cancelling():
            raise
        raise ConnectionError("the connection to the broker was lost") from error


class Session:
    """A channel with a connection of its own, and the news that one of them is gone."""

    def __init__(self, channel: AbstractChannel, exchange: AbstractExchange) -> None:
        self.channel, self.exchange = channel, exchange
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        channel.close_callbacks.add(self.lose)

    def lose(self, *_: object) -> None:
        """Never poll `is_closed`: it stays False on a stuck connection. The callbacks do come, a channel's for both."""
        if not self.lost.done():
            self.lost.set_result(None)


class RabbitBus:
    """Sessions with one broker."""

    def __init__(self, url: str, subscriptions: Subscriptions, prefix: str = "") -> None:
        """`prefix` goes before the names of exchanges and queues, so that installations can share a broker."""
        self.url = url + ("&" if "?" in url else "?") + f"heartbeat={HEARTBEAT_SECONDS}"
        self.subscriptions, self.prefix = subscriptions, prefix
        self.heard = frozenset[str]().union(*subscriptions.values())

    @asynccontextmanager
    async def _session(self, service: str, side: str) -> AsyncIterator[Session]:
        connection = await guarded(
            aio_pika.connect(self.url, timeout=5, client_properties={"connection_name": f"{service}:{side}"})
        )
        try:
            channel = await guarded(connection.channel(publisher_confirms=True, on_return_raises=True))
            session = Session(channel, await self._declare(channel))
            BUS_SESSIONS.labels(service, side).inc()
            yield session
        finally:
            with suppress(Exception):  # it may be dead; we leave it anyway
                await guarded(connection.close(), seconds=CLOSE_SECONDS)

    async def _declare(self, channel: AbstractChannel) -> AbstractExchange:
        """The whole topology, by every service: no fact can leave before its subscribers' queues exist."""
        dead_name = self.prefix + DEAD
        dead = await guarded(channel.declare_exchange(dead_name, "fanout", durable=True))
        last_net = await guarded(channel.declare_queue(dead_name, durable=True, arguments={"x-queue-type": "quorum"}))
        await guarded(last_net.bind(dead))
        exchange = await guarded(channel.declare_exchange(self.prefix + EXCHANGE, "topic", durable=True))
        arguments = QUEUE_ARGUMENTS | {"x-dead-letter-exchange": dead_name}
        for name, types in queues(self.subscriptions).items():
            queue = await guarded(channel.declare_queue(self.prefix + name, durable=True, arguments=arguments))
            for routing_key in sorted(types):
                await guarded(queue.bind(exchange, routing_key))
        return exchange

    @asynccontextmanager
    async def publisher(self, service: str) -> AsyncIterator["RabbitPublisher"]:
        async with self._session(service, "publish") as session:
            yield RabbitPublisher(session, self.heard)

    async def consume(self, consumer: Consumer) -> None:
        attached = CONSUMER_ATTACHED.labels(consumer.service)
        async with self._session(consumer.service, "consume") as session:
            channel = await session.channel.get_underlay_channel()
            channel.on_consumer_cancel_callbacks.add(session.lose)  # the queue was deleted
            await guarded(session.channel.set_qos(prefetch_count=PREFETCH))
            try:
                async with asyncio.TaskGroup() as tasks:
                    for name in queues({consumer.service: self.subscriptions[consumer.service]}):
                        queue = await guarded(session.channel.get_queue(self.prefix + name, ensure=False))
                        arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
                        await guarded(queue.consume(arrived.put))
                        tasks.create_task(_drain(arrived, consumer))
                    attached.set(1)
                    await session.lost
                    raise ConnectionError("the consuming session was lost")
            finally:
                attached.set(0)

    async def drain(self, keep: Callable[[bytes, str, str], Awaitable[None]]) -> int:
        """Empty the last net: each message is acknowledged when `keep(body, service, reason)` has committed it.

        The service is the one whose queue gave the message up; empty where the broker does not say.
        """
        drained = 0
        async with self._session("operator", "drain") as session:
            last_net = await guarded(session.channel.get_queue(self.prefix + DEAD, ensure=False))
            while message := await guarded(last_net.get(fail=False)):
                queue, reason = (
                    str(message.headers.get(f"x-first-death-{what}") or "") for what in ("queue", "reason")
                )
                await keep(message.body, queue.removeprefix(self.prefix).partition(".")[0], reason)
                failpoints.hit("rabbit.before_ack")
                await guarded(message.ack())
                drained += 1
        return drained


class RabbitPublisher:
    """Sends batches as a pipeline of confirmed publishes on one channel."""

    def __init__(self, session: Session, heard: frozenset[str]) -> None:
        self.session = session
        self.heard = heard

    async def send(self, batches: Sequence[Batch]) -> list[int]:
        """Each publish is a task of its own: a dead connection cancels them, and must not cancel the relay."""
        outcomes = await asyncio.gather(*(self._publish(batch) for batch in batches), return_exceptions=True)
        confirmed: list[int] = []
        for batch, outcome in zip(batches, outcomes, strict=True):
            if isinstance(outcome, Basic.Ack):
                confirmed += batch.rows
            else:
                log.warning("not_confirmed", type=batch.type, events=len(batch.rows), outcome=repr(outcome))
        if not any(isinstance(outcome, Basic.Ack | DeliveryError | TimeoutError) for outcome in outcomes):
            raise ConnectionError("the broker answered none of the publishes")
        return confirmed

    async def _publish(self, batch: Batch) -> object:
        """The message id is the outbox's, never the event's: aiormq matches returned messages by it."""
        message = aio_pika.Message(
            batch.body(),
            content_type="application/cloudevents-batch+json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=str(batch.rows[0]),
            type=batch.type,
        )
        return await self.session.exchange.publish(
            message, routing_key=batch.type, mandatory=batch.type in self.heard, timeout=PUBLISH_SECONDS
        )


async def _drain(arrived: asyncio.Queue[AbstractIncomingMessage], consumer: Consumer) -> None:
    """Take what the queue has brought, in order. When told to end, finish the messages in hand first."""
    while True:
        messages = [await arrived.get()]
        while not arrived.empty():
            messages.append(arrived.get_nowait())
        await finished(_handle(messages, consumer))


async def _handle(messages: Sequence[AbstractIncomingMessage], consumer: Consumer) -> None:
    """Acknowledge messages when the effects of all their events are committed."""
    usual: list[Envelope] = []
    for message in messages:
        try:
            envelopes = parse(message.body)
        except ValueError as error:
            log.error("unreadable", service=consumer.service, error=str(error))
            await message.reject(requeue=False)
            continue
        if int(str(message.headers.get("x-delivery-count") or 0)) > SUSPECTED_AFTER:
            await consumer.process(envelopes, suspected=True)
        else:
            usual += envelopes
    await consumer.process(usual)
    failpoints.hit("rabbit.before_ack")
    for message in messages:
        if not message.processed:
            await message.ack()
