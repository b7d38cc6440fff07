"""A request leaves one line in the log: what was asked, by whom, and how it went; never what it said."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from services.booking.main import service
from shared.ids import new_id
from tests.conftest import Rooms
from tests.harness.logs import logged
from tests.shared.desk import Desk
from tests.shared.desk import desk as new_desk

pytestmark = pytest.mark.servers

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
async def desk(rooms: Rooms) -> Desk:
    return await new_desk(await rooms(service))


async def _lines(desk: Desk, ask: Callable[..., Any], token: str | None = None) -> tuple[list[dict[str, Any]], str]:
    with logged() as said:
        async with desk.http(token) as http:
            await ask(http)
    lines = [json.loads(line) for line in said.getvalue().splitlines()]
    return [line for line in lines if line["event"] == "request"], said.getvalue()


async def test_a_request_is_told_by_its_route_and_its_caller(desk: Desk) -> None:
    booking_id = new_id()

    async def ask(http: Any) -> None:
        headers = {"X-Request-Id": "request-of-this-test", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
        await http.get(f"bookings/{booking_id}", headers=headers)

    (line,), said = await _lines(desk, ask)
    expected = {
        "service": "booking",
        "method": "GET",
        "route": "/bookings/{booking_id}",
        "status": 404,
        "business_id": str(desk.business_id),
        "actor": f"staff:{line['actor'].partition(':')[2]}",
        "request_id": "request-of-this-test",
        "trace_id": TRACE,
        "level": "info",
    }
    assert {name: line[name] for name in expected} == expected
    assert line["ms"] >= 0
    assert str(booking_id) not in said


@pytest.mark.parametrize(
    ("path", "status"), [("bookings?client_id=ana@clients.example", 422), ("of/ana@clients.example", 404)]
)
async def test_neither_the_path_nor_the_query_is_told(desk: Desk, path: str, status: int) -> None:
    (line,), said = await _lines(desk, lambda http: http.get(path))
    assert line["status"] == status
    assert "clients.example" not in said


async def test_a_caller_without_a_token_is_told_too(desk: Desk) -> None:
    (line,), _ = await _lines(desk, lambda http: http.get("bookings"), token="nonsense")
    assert (line["status"], line["business_id"], line["actor"]) == (401, None, None)


async def test_questions_after_our_health_are_not_told(desk: Desk) -> None:
    with logged() as said:
        async with desk.root() as http:
            for path in ("health/live", "health/ready", "health/detail", "metrics"):
                assert (await http.get(path)).status_code == 200
    assert '"request"' not in said.getvalue()
