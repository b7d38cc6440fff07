"""Faults that a service could have: each takes away one thing that keeps a promise.

The simulation finds them, but for the last, which a second lock makes harmless.
"""

from collections.abc import Callable, Sequence
from uuid import UUID

import pytest
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.directdebit import workers
from services.directdebit.actions.sending import Sending
from services.directdebit.bank import Accepted, Bank, Refused, Unknown
from shared import failpoints
from shared.database import Db
from shared.events import Envelope
from shared.http.calls import Call
from shared.ids import new_id
from shared.inbox import REMEMBER, Consumer
from shared.outbox import MOVE, READ, Publisher, batches
from tests.simulation import world

Planted = Callable[[pytest.MonkeyPatch], None]


def a_relay_that_notes_first(patch: pytest.MonkeyPatch) -> None:
    """Facts are taken to be sent before they are."""

    async def relay_once(leader: AsyncConnection, publisher: Publisher) -> tuple[int, int]:
        rows = (await leader.execute(READ)).all()
        if rows:
            await leader.execute(MOVE, {"ids": [row.id for row in rows]})
            failpoints.hit("relay.published")
            await publisher.send(batches([(r.id, r.type, r.subject, r.envelope) for r in rows]))
        return len(rows), len(rows)

    patch.setattr(world, "relay_once", relay_once)


def a_key_that_is_not_remembered(patch: pytest.MonkeyPatch) -> None:
    """Whoever asks again is taken for the first."""

    async def claim(call: Call, db: Db, key: str, fingerprints: list[str], made_id: UUID) -> tuple[UUID, bool]:
        return made_id, True

    patch.setattr(Call, "_claim", claim)


def a_debit_that_is_sent_under_another_key(patch: pytest.MonkeyPatch) -> None:
    """Who does not know whether a debit was sent sends it as if it were a new one."""

    async def send(bank: Bank, due: Sending) -> Accepted | Refused | Unknown:
        return await bank.submit(new_id(), due.body)

    patch.setattr(workers, "_send", send)


AGAIN = text(
    "insert into inbox (event_id) select distinct its_id from unnest(cast(:ids as uuid[])) its_id"
    " where not exists (select from inbox_failed where event_id = its_id)"
    " on conflict (event_id) do update set handled_at = now() returning event_id"
)


def an_inbox_that_handles_again(patch: pytest.MonkeyPatch) -> None:
    """What the bus brings twice is handled twice."""
    once = Consumer._together

    async def again(self: Consumer, envelopes: Sequence[Envelope], remember: TextClause = REMEMBER) -> None:
        await once(self, envelopes, AGAIN if remember is REMEMBER else remember)

    patch.setattr(Consumer, "_together", again)


PLANTED = (
    (a_key_that_is_not_remembered, "asked twice"),
    pytest.param(a_debit_that_is_sent_under_another_key, "debited twice", marks=pytest.mark.at_length),
    pytest.param(a_relay_that_notes_first, "not heard", marks=pytest.mark.at_length),
)
"""And what is said when it is found."""
