"""A service whose database goes away says so, stays alive, and serves again when the database is back."""

import asyncio
import time

import httpx
import pytest

from deploy.local.running.issuer import Issuer
from tests.harness.databases import Databases
from tests.harness.proxy import proxy
from tests.shared.desk import booking_of_its_own, desk, without_database
from tests.shared.pair import until

pytestmark = pytest.mark.servers


async def status(client: httpx.AsyncClient, path: str) -> int:
    return (await client.get(path)).status_code


async def test_without_its_database_a_service_asks_for_patience_then_serves_again(
    databases: Databases, issuer: Issuer
) -> None:
    async with booking_of_its_own(databases, issuer) as booking:
        studio = await desk(booking)
        async with studio.http() as http, studio.root() as root:
            assert await status(root, "health/ready") == 200
            async with without_database(databases):
                for _ in range(3):
                    answer = await http.post("bookings", json=studio.order)
                    assert answer.status_code == 503, answer.text
                    assert answer.headers["Content-Type"] == "application/problem+json"
                    assert int(answer.headers["Retry-After"]) > 0
                assert await status(root, "health/live") == 200
                assert await status(root, "health/ready") == 503
                assert await status(root, "health/detail") == 503
                metrics = await root.get("metrics")
                assert metrics.status_code == 200
                assert 'punchcard_outbox_pending{service="booking"} NaN' in metrics.text
            await until(lambda: status(root, "health/ready"), 200)
            assert (await http.post("bookings", json=studio.order)).status_code == 202


async def test_a_database_that_does_not_answer_makes_a_service_unready(databases: Databases, issuer: Issuer) -> None:
    await databases.make("outage")
    async with proxy(databases.url("outage")) as (line, url), booking_of_its_own(databases, issuer, url) as booking:
        studio = await desk(booking)
        async with studio.root() as root:
            assert await status(root, "health/ready") == 200
            line.freeze()
            started = time.monotonic()
            assert await status(root, "health/ready") == 503
            assert await status(root, "health/live") == 200
            assert time.monotonic() - started < 5
            line.thaw()
            await until(lambda: status(root, "health/ready"), 200)


async def test_broken_connections_to_the_database_are_replaced(databases: Databases, issuer: Issuer) -> None:
    await databases.make("outage")
    async with proxy(databases.url("outage")) as (line, url), booking_of_its_own(databases, issuer, url) as booking:
        studio = await desk(booking)
        async with studio.http() as http:
            await asyncio.gather(*(status(http, "bookings") for _ in range(5)))
            line.cut()
            answers = [await status(http, "bookings") for _ in range(20)]
    assert set(answers) <= {200, 503}
    assert answers[-10:] == [200] * 10


async def test_a_service_leaves_without_its_database_too(databases: Databases, issuer: Issuer) -> None:
    async with booking_of_its_own(databases, issuer) as booking, without_database(databases):
        async with booking.http("") as http:
            async with asyncio.timeout(10):
                await booking.running.leave()
            assert (await http.get("http://punchcard.test/health/ready")).status_code == 503
        assert [name for name, loop in booking.running.loops.items() if not loop.done()] == []
