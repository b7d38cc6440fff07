"""What the bus does not confirm, and what is sent again, never stands before what is fresh; and nothing is lost."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from deploy.local.running.issuer import Issuer
from shared import outbox
from shared.bus import Subscriptions
from shared.bus.rabbit import RabbitBus
from shared.database import Database
from shared.ids import new_id
from shared.outbox import Batch, leader, relay, relay_once, replay
from tests.harness.databases import Databases
from tests.shared.broker import Broker
from tests.shared.listening import listening
from tests.shared.pair import BellRang, LeafFell, pair, query, tell, until

pytestmark = pytest.mark.servers

BELL, LEAF = new_id(), LeafFell.type


@dataclass
class Post:
    """An outbox with its relay, and a bus that confirms all but some types."""

    database: Database
    relay: AsyncConnection
    broken: set[str] = field(default_factory=set)
    sent: list[str] = field(default_factory=list)

    async def send(self, batches: Sequence[Batch]) -> list[int]:
        confirmed = [batch for batch in batches if batch.type not in self.broken]
        self.sent += [envelope for batch in confirmed for envelope in batch.events]
        return [row for batch in confirmed for row in batch.rows]

    async def once(self) -> tuple[int, int]:
        return await relay_once(self.relay, self)

    async def waiting(self) -> list[Any]:
        return await query(self.database, "select *, not_before - now() as pause from outbox order by id")


@pytest.fixture
async def post(databases: Databases) -> AsyncIterator[Post]:
    async with listening(databases) as listener, leader("inbox", listener.database) as relay:
        await query(listener.database, "truncate event_log")
        yield Post(listener.database, relay)


async def _leaves(post: Post, many: int) -> None:
    await tell(post.database, *(LeafFell(leaf_id=new_id()) for _ in range(many)))


async def test_what_is_never_confirmed_gives_way_to_the_rest(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "READ", outbox.READ.limit(10))
    post.broken = {LeafFell.type}
    await _leaves(post, 25)
    await tell(post.database, BellRang(bell_id=BELL, number=1))
    assert [await post.once() for _ in range(6)] == [(10, 0)] * 4 + [(6, 1), (5, 0)]
    (bell,) = post.sent
    assert str(BELL) in bell
    leaves = await post.waiting()
    assert {(row.type, row.attempts) for row in leaves} == {(LeafFell.type, 2)}
    assert len(leaves) == 25
    post.broken = set()
    await query(post.database, "update outbox set not_before = now()")
    while (await post.once())[0]:
        pass
    assert (len(post.sent), await post.waiting()) == (26, [])


async def test_what_is_not_confirmed_keeps_its_place_once_and_is_then_tried_ever_more_rarely(post: Post) -> None:
    post.broken = {LeafFell.type}
    await _leaves(post, 1)
    pauses = []
    for _ in range(60):
        await query(post.database, "update outbox set not_before = now() where not_before is not null")
        await post.once()
        (row,) = await post.waiting()
        pauses.append(row.pause and round(row.pause.total_seconds()))
    assert pauses[:8] == [None, 0, 2, 6, 14, 30, 32, 32]
    assert pauses[-1] == 32


async def test_the_log_is_sent_again_in_its_order_however_often_and_behind_what_is_fresh(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "REPLAYED_AT_ONCE", 2)
    await tell(post.database, *(BellRang(bell_id=BELL, number=number) for number in range(5)))
    await post.once()
    first, post.sent = post.sent, []
    for leaves in range(2):
        assert await replay(post.database, "1 hour") == 5 + leaves
        await _leaves(post, 1)
        while (await post.once())[0]:
            pass
        assert LeafFell.type in post.sent[0]
        assert [envelope for envelope in post.sent if BellRang.type in envelope] == first
        post.sent = []
    (known,) = await query(post.database, "select count(*) as facts from event_log")
    assert known.facts == 7
    await query(post.database, "update event_log set published_at = now() - interval '2 hours'")
    assert await replay(post.database, "1 hour") == 0


async def test_what_is_sent_again_is_as_old_as_it_was_though_the_log_forgot_it_meanwhile(post: Post) -> None:
    await tell(post.database, BellRang(bell_id=BELL, number=1))
    await post.once()
    await query(post.database, "update event_log set published_at = now() - interval '34 days'")
    before = await query(post.database, "select * from event_log")
    for forgotten in (False, True):
        assert await replay(post.database, "35 days") == 1
        if forgotten:
            await query(post.database, "delete from event_log")
        await post.once()
        assert await query(post.database, "select * from event_log") == before


async def test_what_nobody_may_have_heard_yet_goes_before_what_is_sent_again(post: Post) -> None:
    await tell(post.database, *(BellRang(bell_id=BELL, number=number) for number in range(3)))
    await post.once()
    await replay(post.database, "1 hour")
    await _leaves(post, 1)
    await query(post.database, "update outbox set attempts = 2, not_before = now() where type = :type", type=LEAF)
    post.sent = []
    while (await post.once())[0]:
        pass
    assert [LEAF in envelope for envelope in post.sent] == [True, False, False, False]


async def test_what_nobody_may_have_heard_yet_is_found_by_an_index(post: Post) -> None:
    await query(
        post.database,
        "insert into outbox (event_id, business_id, type, subject, envelope, not_before, published_at)"
        " select gen_random_uuid(), gen_random_uuid(), 't', 's', 'e', now(), now() from generate_series(1, 20000)",
    )
    await query(post.database, "analyze outbox")
    async with post.database.engine.connect() as connection:
        asked = outbox.READ_UNCONFIRMED.compile(connection.sync_connection, compile_kwargs={"literal_binds": True})
    plan = str(await query(post.database, f"explain {asked}"))
    assert "ix_outbox_unconfirmed" in plan
    assert "Sort" not in plan


async def test_what_is_behind_goes_out_though_something_fresh_always_waits(post: Post) -> None:
    class Sent(Exception):
        """What was behind has its turn."""

    class Busy:
        """A bus on which a bell rings with every batch."""

        rounds = 0

        async def send(self, batches: Sequence[Batch]) -> list[int]:
            if LEAF in {batch.type for batch in batches}:
                raise Sent
            self.rounds += 1
            assert self.rounds < 300
            await tell(post.database, BellRang(bell_id=BELL, number=1))
            return [row for batch in batches for row in batch.rows]

    await _leaves(post, 1)
    await query(post.database, "update outbox set attempts = 2, not_before = now()")
    await tell(post.database, BellRang(bell_id=BELL, number=1))
    with pytest.raises(Sent):
        await relay("busy", post.database, Busy())


@pytest.mark.broker
async def test_facts_that_find_no_queue_hold_up_no_others_and_leave_once_there_is_one(
    databases: Databases, issuer: Issuer, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "READ", outbox.READ.limit(10))
    bell = new_id()
    made: list[RabbitBus] = []

    def unbound(subscriptions: Subscriptions) -> RabbitBus:
        """A bus that counts on a listener for leaves, where no queue is bound for them."""
        made.append(broker.bus(subscriptions))
        made[0].heard |= {LeafFell.type}
        return made[0]

    async with pair(databases, issuer, unbound) as two:
        await two.tell(*(LeafFell(leaf_id=new_id()) for _ in range(25)), BellRang(bell_id=bell, number=1))
        await two.until_heard(bell, 1)
        await until(two.waiting, 25)
        async with broker.queue("listener.events") as queue:
            await queue.bind(f"{broker.prefix}events", LeafFell.type)
        await until(two.waiting, 0)
