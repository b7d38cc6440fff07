"""What could not be handled is looked at, tried again and given up by one command each; nothing of it is lost."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aio_pika
import pytest

from deploy.local.running.issuer import Issuer
from shared import failpoints
from shared.database import Db
from shared.ids import new_id
from shared.migrations import migrate
from tests.harness.databases import Databases
from tests.operating.hand import Hand, hand
from tests.shared.broker import Broker
from tests.shared.listening import Listening, listening, rang
from tests.shared.pair import BellRang, Pair, pair, query, service, until, write_down

pytestmark = pytest.mark.servers

BELL = new_id()
WHO = ("--by", "kim", "--why", "the rope is mended")


@dataclass
class Desk:
    """A listener with failed events, and the hand of its operator."""

    listener: Listening
    do: Hand

    async def parked(self) -> list[int]:
        return [json.loads(row.envelope)["data"]["number"] for row in await self.listener.failed() if not row.seconds]


async def _succeed(db: Db, event: BellRang) -> None:
    await write_down(db, event.model_copy(update={"trouble": ""}))


@pytest.fixture
async def desk(databases: Databases, issuer: Issuer) -> AsyncIterator[Desk]:
    async with listening(databases) as listener:
        await listener.rows("truncate interventions")
        do = hand({"inbox": service("inbox", listener.handlers)}, {"inbox": databases.url("inbox")}, issuer)
        yield Desk(listener, do)


async def test_what_failed_is_listed_by_type_and_error(desk: Desk) -> None:
    troubles = ["fail", "fail", "reject"]
    facts = [rang(BELL, n, trouble) for n, trouble in enumerate(troubles)]
    for fact in facts:
        await desk.listener.consumer.process([fact])
    head, *lines = [line.split() for line in (await desk.do("dead", "list")).splitlines()]
    assert head == ["service", "type", "events", "parked", "oldest", "newest", "oldest_id", "error"]
    assert [[*line[:4], *line[6:]] for line in lines] == [
        ["inbox", BellRang.type, "1", "1", str(facts[2].id), "Reject"],
        ["inbox", BellRang.type, "2", "0", str(facts[0].id), "ValueError"],
    ]
    assert await desk.do("dead", "show", lines[1][6]), "and what is listed can be shown"


async def test_one_is_shown_with_its_envelope_and_what_people_did_to_it(desk: Desk) -> None:
    fact = rang(BELL, 7, "reject")
    await desk.listener.consumer.process([fact])
    await desk.do("dead", "replay", "--id", str(fact.id), *WHO)
    shown = json.loads(await desk.do("dead", "show", str(fact.id)))["inbox"]
    assert shown["envelope"] == fact.raw
    assert (shown["error"], shown["attempts"]) == ("Reject: never", 0)
    (act,) = shown["interventions"]
    assert (act["act"], act["done_by"], act["why"]) == ("replay", "kim", "the rope is mended")
    with pytest.raises(SystemExit, match="No service has"):
        await desk.do("dead", "show", str(new_id()))


@pytest.mark.parametrize("chosen", ["--type", "--error", "--id"])
async def test_parked_events_are_tried_again_and_handled_once(desk: Desk, chosen: str) -> None:
    facts = [rang(BELL, number, "reject") for number in (1, 2)]
    await desk.listener.consumer.process([*facts, rang(BELL, 3, "fail")])
    desk.listener.handlers(BellRang)(_succeed)
    given = {"--type": BellRang.type, "--error": "Reject", "--id": str(facts[0].id)}[chosen]
    expected = {"--type": [1, 2, 3], "--error": [1, 2], "--id": [1]}[chosen]
    for _ in range(2):
        await desk.do("dead", "replay", chosen, given, *WHO)
    while await desk.listener.consumer.retry_due():
        pass
    assert sorted(await desk.listener.heard()) == expected
    await desk.listener.consumer.process(facts[:1])
    assert sorted(await desk.listener.heard()) == expected


async def test_a_replayed_event_that_fails_again_goes_through_the_schedule_anew(desk: Desk) -> None:
    await desk.listener.consumer.process([rang(BELL, 1, "fail")])
    await desk.listener.rows("update inbox_failed set attempts = 6, next_attempt_at = null")
    assert await desk.do("dead", "replay", "--error", "ValueError", *WHO) == "inbox: 1 are due now\n"
    await desk.listener.consumer.retry_due()
    (row,) = await desk.listener.failed()
    assert (row.attempts, row.seconds > 0) == (1, True)


async def test_what_is_parked_is_tried_no_more(desk: Desk) -> None:
    await desk.listener.consumer.process([rang(BELL, 1, "fail")])
    assert await desk.do("dead", "park", "--type", BellRang.type, *WHO) == "inbox: 1 are parked\n"
    assert await desk.do("dead", "park", "--type", BellRang.type, *WHO) == "", "and is not parked twice"
    await desk.listener.retry()
    (row,) = await desk.listener.failed()
    assert (row.attempts, row.next_attempt_at) == (0, None)


async def test_what_is_parked_stays_so_though_the_bus_brings_it_again(desk: Desk) -> None:
    fact = rang(BELL, 1, "fail")
    await desk.listener.consumer.process([fact])
    await desk.do("dead", "park", "--type", BellRang.type, *WHO)
    desk.listener.handlers(BellRang)(_succeed)
    for suspected in (False, True):
        await desk.listener.consumer.process([fact], suspected=suspected)
        await desk.listener.retry()
    assert (await desk.parked(), await desk.listener.heard()) == ([1], [])


@pytest.mark.parametrize(("act", "after"), [("park", (1, None)), ("replay", (0, 0))])
async def test_who_decides_during_a_try_has_the_last_word(
    desk: Desk, act: str, after: tuple[int, float | None]
) -> None:
    started, goes_on = asyncio.Event(), asyncio.Event()

    async def fail_slowly(_: Db, event: BellRang) -> None:
        started.set()
        await goes_on.wait()
        raise ValueError("broken")

    async def decision_waits() -> bool:
        waits = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        return bool(await desk.listener.rows(waits))

    await desk.listener.consumer.process([rang(BELL, 1, "fail")])
    await desk.listener.rows("update inbox_failed set next_attempt_at = now()")
    desk.listener.handlers(BellRang)(fail_slowly)
    trying = asyncio.create_task(desk.listener.consumer.retry_due())
    await started.wait()
    deciding = asyncio.create_task(desk.do("dead", act, "--type", BellRang.type, *WHO))
    await until(decision_waits, True)
    goes_on.set()
    await asyncio.gather(trying, deciding)
    (row,) = await desk.listener.failed()
    assert (row.attempts, row.seconds and max(row.seconds, 0)) == after


async def test_nobody_means_all_that_ever_failed(desk: Desk) -> None:
    with pytest.raises(SystemExit, match="Say which"):
        await desk.do("dead", "replay", *WHO)


async def _dead(broker: Broker) -> int:
    async with broker.channel() as channel:
        queue = await channel.declare_queue(f"{broker.prefix}events.dead", passive=True)
    return queue.declaration_result.message_count or 0


def _hand(databases: Databases, issuer: Issuer, broker: Broker, two: Pair) -> Hand:
    both = {running.service.name: running.service for running in (two.teller, two.listener)}
    urls = {name: databases.url(name) for name in both}
    return hand(both, urls, issuer, bus_url=broker.url, bus_prefix=broker.prefix)


@pytest.mark.broker
async def test_what_the_broker_gave_up_is_parked_with_its_subscriber_and_can_be_handled(
    databases: Databases, issuer: Issuer, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    bell = new_id()
    async with pair(databases, issuer, broker.bus, listening=False) as two:
        do = _hand(databases, issuer, broker, two)
        await migrate("listener", databases.url("listener"))
        await two.tell(BellRang(bell_id=bell, number=1))
        await until(two.waiting, 0)
        async with broker.queue("listener.events") as queue:
            await (await queue.get(timeout=5)).reject(requeue=False)
        await until(lambda: _dead(broker), 1)

        def die(name: str) -> None:
            raise ConnectionError(name)

        with monkeypatch.context() as broken:
            broken.setattr(failpoints, "hit", die)
            with pytest.raises(ConnectionError):
                await do("dead", "drain")
        await until(lambda: _dead(broker), 1)
        assert await do("dead", "drain") == "1 messages are parked\n"
        assert await _dead(broker) == 0
        (row,) = await two.failed(bell)
        assert (row.error, row.parked) == ("given up by the broker: rejected", True)
        await two.listener.start()
        await do("dead", "replay", "--id", str(row.event_id), *WHO)
        await two.until_heard(bell, 1)


@pytest.mark.broker
async def test_bytes_that_nobody_can_read_are_kept_for_a_person(
    databases: Databases, issuer: Issuer, broker: Broker
) -> None:
    async with pair(databases, issuer, broker.bus) as two:
        do = _hand(databases, issuer, broker, two)
        for running in (two.teller, two.listener):
            await query(running.database, "truncate inbox_failed")
        await broker.publish(BellRang.type, b"\xff\0 of the listener")
        await until(lambda: _dead(broker), 1)
        async with broker.channel() as channel:
            await channel.default_exchange.publish(aio_pika.Message(b"[]"), f"{broker.prefix}events.dead")
        await until(lambda: _dead(broker), 2)
        await do("dead", "drain")
        kept = [
            await query(each.database, "select *, decode(envelope, 'base64') as bytes from inbox_failed")
            for each in (two.teller, two.listener)
        ]
        assert [[row.bytes for row in rows] for rows in kept] == [[b"[]"], [b"\xff\0 of the listener"]]
        assert "unreadable" in await do("dead", "list")
        await do("dead", "replay", "--type", "unreadable", *WHO)
        assert not await query(two.listener.database, "select type from inbox_failed where next_attempt_at is not null")
