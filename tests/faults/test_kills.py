"""`kill -9` at every point between a fact and its effect: nothing is lost or doubled (messaging 5.4, 1 to 10 and 12)."""

import pytest

from shared.ids import new_id
from tests.faults.conftest import Doomed, insist
from tests.harness.studio import FRIDAY, Studio, days
from tests.stories.test_selling import PAID_IN_FULL

pytestmark = [pytest.mark.servers, pytest.mark.timeout(180)]

FAILPOINTS = [
    "relay.published",
    "relay.deleted",
    "consumer.deduplicated",
    "consumer.before_commit",
    "consumer.after_commit",
    "rabbit.before_ack",
]


@pytest.mark.parametrize("failpoint", FAILPOINTS)
async def test_a_booking_and_its_cancellation_survive_a_kill(house: Doomed, studio: Studio, failpoint: str) -> None:
    if failpoint == "rabbit.before_ack" and len(house.victim) > 1:
        failpoint = "relay.published:3"
    package_id = await studio.sell(await studio.template(**PAID_IN_FULL))
    await studio.quiet()
    orders = [studio.order(package_id, FRIDAY + days(n)) for n in (1, 2)]

    async def act() -> None:
        made = []
        for order in orders:
            headers = {"Idempotency-Key": str(new_id()), "Prefer": "wait=10"}
            answer = await insist(
                lambda order=order, headers=headers: studio.owner.request(  # type: ignore[misc]
                    "POST", "/booking/v1/bookings", json=order, headers=headers
                )
            )
            assert answer.status_code in (201, 202), answer.text
            made.append(answer.json()["booking_id"])
        cancel = f"/booking/v1/bookings/{made[0]}/cancel"
        key = {"Idempotency-Key": str(new_id())}
        answer = await insist(lambda: studio.owner.request("POST", cancel, json={}, headers=key))
        assert answer.status_code == 200, answer.text

    await house.survive(failpoint, act)
    assert await studio.balance(package_id) == (9, 1, 0)


async def test_a_kill_between_commit_and_answer_makes_the_same_booking(house: Doomed, studio: Studio) -> None:
    if "booking" not in house.victim:
        pytest.skip("the victim does not answer bookings")
    package_id = await studio.sell(await studio.template(**PAID_IN_FULL))
    await studio.quiet()
    headers = {"Idempotency-Key": str(new_id()), "Prefer": "wait=10"}
    order = studio.order(package_id, FRIDAY + days(1))
    answer = await house.survive(
        "http.committed",
        lambda: insist(lambda: studio.owner.request("POST", "/booking/v1/bookings", json=order, headers=headers)),
    )
    assert answer.status_code == 201
    assert await studio.balance(package_id) == (9, 1, 0)
