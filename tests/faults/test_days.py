"""`kill -9` at every step of the day chain, of a close and of its renewal: the same end as without."""

import pytest

from tests.faults.conftest import EMBEDDED, Doomed, dies, free_what_the_dead_held, on_rabbitmq
from tests.harness.studio import FRIDAY, Studio, days
from tests.stories.test_instalments import FIVE_PARTS
from tests.stories.test_post_bill import post_bill
from tests.stories.test_recurring import SIX_A_FORTNIGHT

pytestmark = [pytest.mark.servers, pytest.mark.timeout(180)]

TARGET = FRIDAY + days(33)
OF_THE_DAY = ("day.periods:8", "day.instalments:8", "day.reminders", "day.finished:5", "day.committed:5")


async def reminders(studio: Studio) -> list[str]:
    """The instalments of which billing has told that they are overdue, as often as it has."""
    told = "select subject from event_log where business_id = :id and type = 'billing.instalment_overdue.v1'"
    return [row.subject for row in await studio.rows("billing", told)]


@dies(
    (on_rabbitmq("billing"), "day.instalments:8", "day.finished:5", "relay.published"),
    (on_rabbitmq("packages"), "consumer.after_commit:5"),
    at_length=[
        (EMBEDDED, *OF_THE_DAY),
        (on_rabbitmq("billing"), "day.periods:8", "day.reminders", "day.committed:5", "relay.deleted"),
        (on_rabbitmq("packages"), "consumer.before_commit:3", "rabbit.before_ack:3"),
    ],
)
async def test_a_month_of_days_survives_a_kill(house: Doomed, studio: Studio, failpoint: str) -> None:
    endless = await studio.sell(await studio.template(**SIX_A_FORTNIGHT), first_due_date="2022-09-13")
    parts = await studio.sell(await studio.template(**FIVE_PARTS), first_due_date="2022-09-13")
    booked = await studio.book(endless, FRIDAY + days(20))
    await studio.quiet()
    await house.survive(failpoint, lambda: studio.begin_day(TARGET))
    await free_what_the_dead_held(studio, *house.victim)
    assert [(i["number"], i["issued_date"]) for i in await studio.invoices(endless)] == [
        (1, "2022-09-09"),
        (3, "2022-09-27"),
        (4, "2022-10-11"),
    ]
    (invoice,) = await studio.invoices(parts)
    assert [part["state"] for part in invoice["instalments"]] == ["due"] * 3 + ["scheduled"] * 2
    told = await reminders(studio)
    assert len(told) == len(set(told)) == 4, "what fell due three days ago and before, once"
    package = await studio.package(endless)
    counts = {name: package[name] for name in ("available", "held", "forfeited", "ahead")}
    assert counts == {"available": 6, "held": 1, "forfeited": 11, "ahead": 0}
    assert (await studio.booking(booked))["state"] == "confirmed"


@dies(
    (on_rabbitmq("billing"), "consumer.after_commit"),
    (on_rabbitmq("packages"), "http.committed", "relay.published"),
    at_length=[
        (EMBEDDED, "http.committed", "relay.deleted"),
        (on_rabbitmq("billing"), "consumer.before_commit", "rabbit.before_ack"),
        (on_rabbitmq("packages"), "consumer.deduplicated", "consumer.before_commit"),
    ],
)
async def test_a_close_and_its_renewal_survive_a_kill(house: Doomed, studio: Studio, failpoint: str) -> None:
    package_id = await post_bill(studio, auto_renew=True)
    for day in (1, 2):
        await studio.use(package_id, FRIDAY + days(day))
    later = await studio.book(package_id, FRIDAY + days(9))
    await studio.quiet()

    async def close() -> None:
        answer = await studio.owner.insist(f"/packages/v1/packages/{package_id}/close", None)
        assert answer.status_code == 200, answer.text

    await house.survive(failpoint, close)
    await free_what_the_dead_held(studio, *house.victim)
    assert [invoice["total_minor"] for invoice in await studio.invoices(package_id)] == [12000]
    successor_id = (await studio.package(package_id))["successor_id"]
    assert (await studio.package(successor_id))["held"] == 1
    assert (await studio.booking(later))["package_id"] == successor_id
