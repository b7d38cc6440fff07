"""`kill -9` at every point between a fact and its effect: nothing is lost, and nothing is doubled."""

import pytest

from tests.faults.conftest import EMBEDDED, Doomed, dies, free_what_the_dead_held, on_rabbitmq
from tests.harness.studio import FRIDAY, Studio, days
from tests.stories.test_selling import PAID_IN_FULL

pytestmark = [pytest.mark.servers, pytest.mark.timeout(180)]

OF_THE_RELAY = ("relay.published", "relay.deleted")
OF_THE_INBOX = ("consumer.deduplicated", "consumer.before_commit", "consumer.after_commit")


@dies(
    (EMBEDDED, "relay.published", "relay.published:3", "consumer.before_commit"),
    (on_rabbitmq("booking"), *OF_THE_RELAY, *OF_THE_INBOX, "rabbit.before_ack"),
    at_length=[
        (EMBEDDED, "relay.deleted", "consumer.deduplicated", "consumer.after_commit"),
        (on_rabbitmq("packages"), *OF_THE_RELAY, *OF_THE_INBOX, "rabbit.before_ack"),
    ],
)
async def test_a_booking_and_its_cancellation_survive_a_kill(house: Doomed, studio: Studio, failpoint: str) -> None:
    package_id = await studio.sell(await studio.template(**PAID_IN_FULL))
    await studio.quiet()
    orders = [studio.order(package_id, FRIDAY + days(n)) for n in (1, 2)]

    async def act() -> None:
        made = []
        for order in orders:
            answer = await studio.owner.insist("/booking/v1/bookings", order, Prefer="wait=10")
            assert answer.status_code in (201, 202), answer.text
            made.append(answer.json()["booking_id"])
        answer = await studio.owner.insist(f"/booking/v1/bookings/{made[0]}/cancel", {})
        assert answer.status_code == 200, answer.text

    await house.survive(failpoint, act)
    await free_what_the_dead_held(studio, *house.victim)
    assert await studio.balance(package_id) == (9, 1, 0)


async def test_a_kill_between_commit_and_answer_does_it_once(house: Doomed, studio: Studio) -> None:
    package_id = await studio.sell(await studio.template(**PAID_IN_FULL))
    await studio.quiet()
    path, body = {
        True: ("/booking/v1/bookings", studio.order(package_id, FRIDAY + days(1))),
        False: (f"/packages/v1/packages/{package_id}/adjustments", {"sessions": 1, "reason": "goodwill"}),
    }["booking" in house.victim]
    answer = await house.survive("http.committed", lambda: studio.owner.insist(path, body, Prefer="wait=10"))
    await free_what_the_dead_held(studio, *house.victim)
    assert answer.is_success, answer.text
    assert await studio.balance(package_id) == ((9, 1, 0) if "booking" in house.victim else (11, 0, 0))
