"""Faults that a service could have, for the simulation to find: each takes away one thing that keeps a promise."""

from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from shared import failpoints
from shared.database import Db
from shared.http.calls import Call
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


PLANTED = (
    (a_key_that_is_not_remembered, "asked twice"),
    pytest.param(a_relay_that_notes_first, "not heard", marks=pytest.mark.at_length),
)
"""And what is said when it is found."""
