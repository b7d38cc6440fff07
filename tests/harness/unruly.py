"""`python -m tests.harness.unruly run …`: the services as they are, over a bus that doubles and shuffles all it brings.

Facts leave each outbox in a random order, and every event is handled twice, each batch in an order of its own.
"""

import os
import random
import sys
from collections.abc import Sequence

from services.__main__ import main
from shared import inbox, outbox
from shared.events import Envelope

SEED = os.environ.get("UNRULY_SEED", "1")
chance = random.Random(SEED)
orderly_batches, orderly_process = outbox.batches, inbox.Consumer.process


def shuffled(rows: Sequence[tuple[int, str, str, str]]) -> list[outbox.Batch]:
    mixed = list(rows)
    chance.shuffle(mixed)
    return orderly_batches(mixed)


async def twice(consumer: inbox.Consumer, envelopes: Sequence[Envelope], *, suspected: bool = False) -> None:
    for _ in range(2):
        mixed = list(envelopes)
        chance.shuffle(mixed)
        await orderly_process(consumer, mixed, suspected=suspected)


outbox.batches = shuffled
inbox.Consumer.process = twice  # type: ignore[method-assign, assignment]

if __name__ == "__main__":
    main(sys.argv[1:])
