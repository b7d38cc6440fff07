"""What every door does alike, seen at booking's: one act per key, problems as documents, limits, request ids."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from io import StringIO
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client import Counter, Gauge, Histogram

from services.booking import actions
from services.booking.main import service
from shared import metrics
from shared.events.booking import HoldRequested
from shared.http import calls
from shared.ids import new_id
from tests.conftest import Rooms
from tests.harness.databases import Databases
from tests.harness.logs import logged
from tests.shared.desk import Desk
from tests.shared.desk import desk as new_desk
from tests.shared.pair import query

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module", autouse=True)
def said(databases: Databases) -> Iterator[StringIO]:
    """The log of all these tests; at the end it holds no secret."""
    with logged() as lines:
        yield lines
    told = lines.getvalue()
    assert "eyJ" not in told, "a token"
    assert "Bearer" not in told
    assert str(urlsplit(databases.url("booking")).password) not in told


@pytest.fixture
async def desk(rooms: Rooms) -> Desk:
    return await new_desk(await rooms(service))


@pytest.fixture
async def http(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    async with desk.http() as client:
        yield client


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["type"] == f"urn:punchcard:problem:{code}"
    assert document["status"] == status
    assert document["title"]
    return document


async def test_a_request_sent_eight_times_at_once_acts_once(desk: Desk, http: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": f"key-{new_id()}"}
    answers = await asyncio.gather(*(http.post("bookings", json=desk.order, headers=key) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["booking_id"] for answer in answers}) == 1
    assert len(await desk.room.facts(desk.business_id, HoldRequested)) == 1


async def test_the_order_of_the_fields_makes_no_other_request(desk: Desk, http: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": f"key-{new_id()}"}
    first = await http.post("bookings", json=desk.order, headers=key)
    again = await http.post("bookings", json=dict(reversed(desk.order.items())), headers=key)
    assert again.json()["booking_id"] == first.json()["booking_id"]


async def test_the_key_of_another_caller_is_another_key(desk: Desk, http: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": f"key-{new_id()}"}
    colleague = desk.room.issuer.staff(desk.business_id, sub="colleague")
    other = await new_desk(desk.room)
    first = await http.post("bookings", json=desk.order, headers=key)
    async with desk.http(colleague) as theirs, other.http() as elsewhere:
        second = await theirs.post("bookings", json=desk.order | {"starts_at": "2022-09-11T10:00:00Z"}, headers=key)
        third = await elsewhere.post("bookings", json=other.order, headers=key)
    answers = (first, second, third)
    assert [answer.status_code for answer in answers] == [202, 202, 202]
    assert len({answer.json()["booking_id"] for answer in answers}) == 3


async def test_a_request_that_was_refused_left_its_key_unused(desk: Desk, http: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": f"key-{new_id()}"}
    taken = await http.post("bookings", json=desk.order)
    problem(await http.post("bookings", json=desk.order, headers=key), 409, "practitioner-busy")
    await http.post(f"bookings/{taken.json()['booking_id']}/cancel", json={})
    assert (await http.post("bookings", json=desk.order, headers=key)).status_code == 202


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b'{"client_id": }', b"[" * 2000], ids=range(4))
async def test_a_body_that_is_no_json_is_malformed(http: httpx.AsyncClient, body: bytes) -> None:
    answer = await http.post("bookings", content=body, headers={"Content-Type": "application/json"})
    problem(answer, 400, "malformed")


async def test_a_body_where_none_is_wanted_is_no_trouble_of_ours(desk: Desk, http: httpx.AsyncClient) -> None:
    problem(await http.post(f"bookings/{new_id()}/approve", content=b"{"), 400, "malformed")


async def test_a_text_that_cannot_be_stored_is_refused(desk: Desk, http: httpx.AsyncClient) -> None:
    booking_id = (await http.post("bookings", json=desk.order)).json()["booking_id"]
    answer = await http.post(f"bookings/{booking_id}/cancel", json={"reason": "no \0"})
    assert [error["field"] for error in problem(answer, 422, "invalid")["errors"]] == ["reason"]


async def test_what_is_not_there_is_a_problem_too(http: httpx.AsyncClient) -> None:
    problem(await http.get("no-such-thing"), 404, "not-found")
    answer = await http.delete("bookings")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["Allow"] in {"GET", "POST"}


@pytest.mark.parametrize("token", ["", "x.y.z"])
async def test_without_a_token_nothing_is_told(desk: Desk, token: str) -> None:
    async with desk.room.http(token) as http:
        answer = await http.get("bookings")
    problem(answer, 401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_a_business_that_is_quite_new_is_waited_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "COPY_WAIT_SECONDS", 20)
    business_id = new_id()
    async with desk.http(desk.room.issuer.staff(business_id)) as quick, asyncio.TaskGroup() as meanwhile:
        asked = meanwhile.create_task(quick.get("bookings"))
        await asyncio.sleep(0.2)
        assert not asked.done()
        await desk.room.business(business_id=business_id)
    assert asked.result().status_code == 200


async def test_a_business_that_never_comes_is_not_known(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "COPY_WAIT_SECONDS", 0.1)
    async with desk.http(desk.room.issuer.staff(new_id())) as stranger:
        problem(await stranger.get("bookings"), 409, "not-yet-known")


async def test_a_body_that_says_it_is_too_large_is_refused(http: httpx.AsyncClient) -> None:
    problem(await http.post("bookings", content=b" " * 300_000), 413, "too-large")


@pytest.mark.parametrize("prefer", ["wait=soon", "wait=-1", "wait=", "=", ";;,,", "wait=٣", "handling=lenient", "é"])
async def test_a_preference_that_nobody_understands_is_harmless(desk: Desk, prefer: str) -> None:
    async with desk.http() as http:
        headers = {"Prefer": f"{prefer}, respond-async".encode()}
        assert (await http.post("bookings", json=desk.order, headers=headers)).status_code == 202  # type: ignore[arg-type]


async def test_a_request_id_of_ours_or_theirs_comes_back(http: httpx.AsyncClient) -> None:
    own = (await http.get("bookings", headers={"X-Request-Id": "from-the-app-1"})).headers["X-Request-Id"]
    assert own == "from-the-app-1"
    for strange in ("short", "x" * 65, "two words here", '{"level":"error"}'):
        made = (await http.get("bookings", headers={"X-Request-Id": strange})).headers["X-Request-Id"]
        assert made != strange
        assert len(made) == 36


async def test_a_fact_carries_the_request_that_caused_it(desk: Desk, http: httpx.AsyncClient) -> None:
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    for sent, kept in ((trace, trace), ("00-nonsense", None)):
        order = desk.order | {"starts_at": f"2022-09-1{1 if kept else 2}T10:00:00Z"}
        headers = {"X-Request-Id": f"request-{kept}"[:40], "traceparent": sent}
        booking_id = (await http.post("bookings", json=order, headers=headers)).json()["booking_id"]
        told = "(select envelope from outbox union all select envelope from event_log) told"
        rows = await query(
            desk.room.running.database, f"select envelope from {told} where envelope like :id", id=f"%{booking_id}%"
        )
        envelope = json.loads(rows[0].envelope)
        assert (envelope["correlationid"], envelope.get("traceparent")) == (headers["X-Request-Id"], kept)


async def test_a_mistake_of_ours_shows_nothing_and_can_be_found_in_the_log(
    http: httpx.AsyncClient, said: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stumble(*_: object, **__: object) -> None:
        raise RuntimeError("an inner matter")

    monkeypatch.setattr(actions, "find", stumble)
    answer = await http.get(f"bookings/{new_id()}", headers={"X-Request-Id": "the-one-that-failed"})
    problem(answer, 500, "unexpected")
    assert answer.headers["X-Request-Id"] == "the-one-that-failed"
    assert "inner matter" not in answer.text
    line, told = (json.loads(line) for line in said.getvalue().splitlines() if "the-one-that-failed" in line)
    assert (told["event"], told["status"]) == ("request", 500)
    assert (line["event"], line["level"], line["service"]) == ("unexpected", "error", "booking")
    assert "RuntimeError: an inner matter" in line["exception"]


async def test_an_operator_finds_every_number(desk: Desk) -> None:
    async with desk.root() as root:
        text = (await root.get("metrics")).text
        detail = (await root.get("health/detail")).json()
    kept = [each for each in vars(metrics).values() if isinstance(each, Counter | Gauge | Histogram)]
    names = {described.name for each in kept for described in each.describe()}
    assert len(names) == 11
    assert [name for name in names if f"# HELP {name}" not in text] == []
    assert 'punchcard_outbox_pending{service="booking"}' in text
    assert detail.keys() == {"service", "pending", "oldest", "retrying", "parked", "work"}
