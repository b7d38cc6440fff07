"""The embedded bus: the relay hands a batch to the subscribers' consumers in the same process.

There is no queue to lose. The consumers' commit is the confirmation; after a crash the rows are still in the outbox,
and the inbox knows what was done.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from shared.bus import Subscriptions
from shared.database import is_away
from shared.inbox import Consumer, parse
from shared.log import log
from shared.outbox import Batch


class LocalBus:
    """Sends to the consumers of this process; until a subscriber is there, its events wait in the outbox."""

    def __init__(self, subscriptions: Subscriptions) -> None:
        self.subscriptions = subscriptions
        self.consumers: dict[str, Consumer] = {}

    @asynccontextmanager
    async def publisher(self, service: str) -> AsyncIterator["LocalBus"]:
        yield self

    async def send(self, batches: Sequence[Batch]) -> list[int]:
        return [row for batch in batches if await self._deliver(batch) for row in batch.rows]

    async def _deliver(self, batch: Batch) -> bool:
        """Whether every subscriber has committed the batch."""
        envelopes = parse(batch.body())
        delivered = True
        for service, types in self.subscriptions.items():
            if batch.type not in types:
                continue
            if service not in self.consumers:
                delivered = False
                continue
            try:
                await self.consumers[service].process(envelopes)
            except Exception as error:
                if not is_away(error):
                    raise
                log.warning("subscriber_away", service=service, error=str(error))
                delivered = False
        return delivered

    async def consume(self, consumer: Consumer) -> None:
        """Take part. A consumer stays reachable while the process lives, so that others can still let out facts."""
        self.consumers[consumer.service] = consumer
        await asyncio.Event().wait()
