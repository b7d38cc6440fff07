"""What failed is tried again: by itself, under a new mandate, or because a person says so."""

from datetime import date

import pytest

from shared.events.directdebit import DebitEvent
from tests.directdebit.conftest import TODAY, Desk, Faulty, callback, clock_to

pytestmark = pytest.mark.servers


async def test_a_soft_decline_is_tried_again_twice_and_then_left_to_a_person(desk: Desk) -> None:
    """3 and 7 bank days after the bank's date, three attempts in all (R-35)."""
    await desk.record(desk.provider.mandate())
    wish, debit = await desk.sent()
    for failed, on in ((TODAY, date(2022, 9, 30)), (date(2022, 10, 4), date(2022, 10, 13))):
        await desk.day(failed)
        assert await desk.decline(debit, failed) == on
        assert (await desk.get(f"collections/{wish.instalment_id}"))["next_date"] == str(on)
        await desk.day(on.replace(day=on.day - 1))
        await desk.room.idle(desk.business_id)
        assert (await desk.debits(wish))[-1]["debit_id"] == debit["debit_id"]
        await desk.day(on)
        debit = await desk.until(wish, lambda debit: debit["state"] == "submitted")
    assert await desk.decline(debit) is None
    assert [each["items"][0]["attempt_no"] for each in await desk.debits(wish)] == [1, 2, 3]
    await desk.day(date(2022, 12, 1))
    await desk.room.idle(desk.business_id)
    assert len(await desk.debits(wish)) == 3
    assert (await desk.post(f"collections/{wish.instalment_id}/retry")).status_code == 200
    assert (await desk.post(f"collections/{wish.instalment_id}/retry")).status_code == 409
    await desk.day(date(2022, 12, 2))
    fourth = await desk.until(wish, lambda debit: debit["state"] == "submitted")
    assert fourth["items"][0]["attempt_no"] == 4


async def test_a_retry_that_meets_another_due_date_is_one_debit_with_it(desk: Desk) -> None:
    await desk.record(desk.provider.mandate())
    wish, debit = await desk.sent()
    await desk.decline(debit)
    new = desk.wish(target_minor=4500)
    await desk.hear(new)
    await desk.day(date(2022, 9, 30))
    both = await desk.until(new, lambda debit: debit["state"] == "submitted")
    assert both["amount_minor"] == 34500
    assert {item["instalment_id"]: item["attempt_no"] for item in both["items"]} == {
        str(wish.instalment_id): 2,
        str(new.instalment_id): 1,
    }


async def test_a_new_mandate_begins_a_new_series(desk: Desk) -> None:
    await desk.record(desk.provider.mandate())
    wish, debit = await desk.sent()
    assert await desk.decline(debit, cause="payment_stopped") is None
    assert (await desk.get("mandates"))["items"][-1]["state"] == "active"
    await desk.record(desk.provider.mandate())
    await desk.day(date(2022, 9, 28))
    second = await desk.until(wish, lambda debit: debit["state"] == "submitted")
    assert await desk.decline(second) == date(2022, 9, 30), "the first of its series"


@pytest.mark.parametrize("cause", ["bank_account_closed", "insufficient_funds"])
async def test_a_mandate_given_while_a_debit_was_on_its_way_is_tried_once_that_has_failed(
    desk: Desk, cause: str
) -> None:
    await desk.record(desk.provider.mandate())
    wish, debit = await desk.sent()
    await desk.record(desk.provider.mandate())
    assert await desk.decline(debit, cause=cause) == date(2022, 9, 28)
    assert [mandate["state"] for mandate in (await desk.get("mandates"))["items"]] == ["replaced", "active"]
    await desk.day(date(2022, 9, 28))
    second = await desk.until(wish, lambda debit: debit["state"] == "submitted")
    assert second["mandate_id"] != debit["mandate_id"]


async def test_what_the_provider_could_not_take_on_its_day_is_made_anew(desk: Desk, faulty: Faulty) -> None:
    """It was away until the charge date was over: that is no decline, and nobody is written to."""
    faulty.faults = ["too late"]
    await desk.record(desk.provider.mandate())
    wish = desk.wish()
    await desk.collect(wish)
    await desk.until(wish, lambda debit: debit["state"] == "cancelled")
    assert await desk.room.facts(desk.business_id, DebitEvent) == []
    await desk.day(date(2022, 9, 28))
    debit = await desk.until(wish, lambda debit: debit["state"] == "submitted")
    assert (debit["charge_date"], debit["items"][0]["attempt_no"]) == ("2022-09-28", 1)


async def test_what_is_switched_off_and_on_again_keeps_its_next_attempt(desk: Desk) -> None:
    await desk.record(desk.provider.mandate())
    wish, debit = await desk.sent()
    await desk.decline(debit, cause="payment_stopped")
    await desk.hear(wish.model_copy(update={"version": 2, "target_minor": 0}))
    await desk.record(desk.provider.mandate())
    await desk.day(date(2022, 9, 28))
    await desk.room.idle(desk.business_id)
    assert len(await desk.debits(wish)) == 1
    await desk.hear(wish.model_copy(update={"version": 3}))
    await desk.day(date(2022, 9, 29))
    await desk.until(wish, lambda debit: debit["state"] == "submitted")


async def test_what_leaves_a_list_and_is_wanted_again_is_due_again(desk: Desk) -> None:
    await desk.record(desk.provider.mandate())
    wish, other = desk.wish(), desk.wish()
    await desk.collect(wish)
    first = await desk.until(wish, lambda debit: debit["state"] == "submitted")
    await desk.decline(first)
    await desk.room.hear(desk.business_id, wish, other, on=TODAY)
    assert (await desk.post(f"collections/{wish.instalment_id}/retry")).status_code == 200
    await clock_to(desk, date(2022, 9, 28))
    run = (await desk.post("runs")).json()
    assert run["results"][0]["amount_minor"] == 60000
    for version, target_minor in ((2, 0), (3, 30000)):
        await desk.hear(wish.model_copy(update={"version": version, "target_minor": target_minor}))
    await desk.post(f"runs/{run['run_id']}/confirm")
    sent = await desk.until(other, lambda debit: debit["state"] == "submitted")
    assert sent["amount_minor"] == 30000
    await desk.day(date(2022, 9, 29))
    again = await desk.until(wish, lambda debit: debit["state"] == "submitted")
    assert again["items"][0]["attempt_no"] == 2


async def test_after_a_dispute_a_person_may_have_it_tried_again(desk: Desk) -> None:
    wish, debit, _ = await desk.decided("settle")
    desk.provider.decide(debit["provider_ref"], "charge_back")
    await desk.bring(debit)
    await desk.record(desk.provider.mandate())
    assert (await desk.post(f"collections/{wish.instalment_id}/retry")).status_code == 200
    await desk.day(date(2022, 9, 28))
    second = await desk.until(wish, lambda debit: debit["state"] == "submitted")
    withdrawn = desk.event_of(debit, "charged_back", action="chargeback_cancelled")
    await desk.call_back(callback(withdrawn))
    await desk.room.idle(desk.business_id)
    first, *_ = await desk.debits(wish)
    assert (first["state"], first["review"]) == ("in_review", "another_is_live"), "it would be paid twice"
    await desk.decline(second)
    await desk.room.idle(desk.business_id)
    first, *_ = await desk.debits(wish)
    assert first["state"] == "settled", "now it is not"
    assert (await desk.get(f"collections/{wish.instalment_id}"))["next_date"] is None
