"""`kill -9` at every point between a fact and its effect: nothing is lost, and nothing is doubled."""

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
        failpoint = "relay.published:3"  # nothing is acknowledged on the embedded bus: die at a later pass
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


async def test_a_kill_between_commit_and_answer_does_it_once(house: Doomed, studio: Studio) -> None:
    package_id = await studio.sell(await studio.template(**PAID_IN_FULL))
    await studio.quiet()
    headers = {"Idempotency-Key": str(new_id()), "Prefer": "wait=10"}
    path, body = {
        True: ("/booking/v1/bookings", studio.order(package_id, FRIDAY + days(1))),
        False: (f"/packages/v1/packages/{package_id}/adjustments", {"sessions": 1, "reason": "goodwill"}),
    }["booking" in house.victim]
    answer = await house.survive(
        "http.committed", lambda: insist(lambda: studio.owner.request("POST", path, json=body, headers=headers))
    )
    assert answer.is_success, answer.text
    assert await studio.balance(package_id) == ((9, 1, 0) if "booking" in house.victim else (11, 0, 0))
