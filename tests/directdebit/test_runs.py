"""Process Billing: all that is due becomes debits, one per payer and day; by itself, or when a person says so."""

import asyncio
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from shared.events.catalog import ClientChanged
from shared.events.directdebit import DebitSettled
from shared.ids import new_id
from tests.directdebit.conftest import TODAY, Desk, clock_to

pytestmark = pytest.mark.servers


async def other_payer(desk: Desk, behaviour: str = "manual") -> Desk:
    """Another payer of the same business, with a mandate."""
    other = Desk(desk.room, desk.provider, desk.business_id, new_id(), desk.owner)
    bo = ClientChanged(client_id=other.payer_id, sequence=1, name="Bo", email=None, active=True)
    await desk.room.hear(desk.business_id, bo)
    await other.record(desk.provider.mandate(behaviour))
    return other


async def runs(desk: Desk) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (await desk.get("runs"))["items"]
    return listed


async def test_what_is_due_for_one_payer_on_one_day_is_one_debit(desk: Desk) -> None:
    await desk.record(desk.provider.mandate())
    bo = await other_payer(desk)
    mine, his = [desk.wish(), desk.wish(target_minor=4500)], bo.wish()
    await desk.collect(*mine, his)
    debit = await desk.until(mine[0], lambda debit: debit["state"] == "submitted")
    assert [item["amount_minor"] for item in debit["items"]] == [30000, 4500]
    assert (debit["amount_minor"], (await desk.debits(mine[1]))[0]["debit_id"]) == (34500, debit["debit_id"])
    other = await desk.until(his, lambda debit: debit["state"] == "submitted")
    assert other["run_id"] == debit["run_id"]
    assert [payment["amount"] for payment in desk.provider.payments(debit, other)] in ([34500, 30000], [30000, 34500])
    (run,) = await runs(desk)
    shown = await desk.get(f"runs/{run['run_id']}")
    assert shown["results"] == [{"state": "submitted", "debits": 2, "amount_minor": 64500}]


async def test_who_is_debited_today_is_debited_again_tomorrow_at_the_earliest(desk: Desk) -> None:
    await desk.record(desk.provider.mandate())
    await desk.sent()
    late = desk.wish()
    await desk.collect(late)
    assert (await desk.post("runs")).json()["type"] == "urn:punchcard:problem:nothing-due"
    await desk.day(TODAY + timedelta(days=1))
    debit = await desk.until(late, lambda debit: debit["state"] == "submitted")
    assert debit["charge_date"] == "2022-09-28"


async def test_what_the_bank_charges_later_than_it_was_asked_to_is_that_days_debit(desk: Desk) -> None:
    """Our calendar says that it is open on Saturday, and the bank's does not: Monday has its debit."""
    await desk.record(desk.provider.mandate())
    async with desk.room.http(desk.owner) as http:
        told = {"closed": False, "name": "open, we think"}
        assert (await http.put("bank-holidays/2022-10-01", json=told)).status_code == 200
    first, second = desk.wish(), desk.wish()
    await desk.hear(first)
    await desk.day(date(2022, 10, 1))
    moved = await desk.until(first, lambda debit: debit["state"] == "submitted")
    assert moved["charge_date"] == "2022-10-03"
    await desk.hear(second)
    await desk.day(date(2022, 10, 3))
    await desk.room.idle(desk.business_id)
    assert await desk.debits(second) == []
    await desk.day(date(2022, 10, 4))
    assert (await desk.until(second, lambda debit: debit["state"] == "submitted"))["charge_date"] == "2022-10-04"


async def test_what_is_more_than_one_debit_can_bring_waits_for_the_next_run(desk: Desk) -> None:
    await desk.record(desk.provider.mandate())
    wishes = [desk.wish(target_minor=6_000_000_000) for _ in range(2)]
    await desk.collect(*wishes)
    first = await desk.until(wishes[0], lambda debit: debit["state"] == "submitted")
    assert (first["amount_minor"], await desk.debits(wishes[1])) == (6_000_000_000, [])
    await desk.day(date(2022, 9, 28))
    await desk.until(wishes[1], lambda debit: debit["state"] == "submitted")


async def test_on_a_day_on_which_the_bank_is_closed_nothing_goes_out(desk: Desk) -> None:
    await desk.record(desk.provider.mandate())
    async with desk.room.http(desk.owner) as http:
        told = {"closed": True, "name": "A day of mourning"}
        assert (await http.put("bank-holidays/2022-09-28", json=told)).status_code == 200
    listed = (await desk.get("bank-holidays"))["items"]
    assert {"day": "2022-09-28", "closed": True, "name": "A day of mourning"} in listed
    assert {"day": "2022-12-26", "closed": True, "name": "Boxing Day"} in listed
    first, second = desk.wish(), desk.wish()
    await desk.hear(first)
    await desk.day(date(2022, 9, 28))
    await desk.hear(second)
    await desk.day(date(2022, 9, 29))
    debit = await desk.until(second, lambda debit: debit["state"] == "submitted")
    assert (debit["charge_date"], len(debit["items"])) == ("2022-09-29", 2)
    assert len(await runs(desk)) == 1


async def test_a_day_that_is_caught_up_with_sends_nothing_and_is_counted(desk: Desk) -> None:
    """The run of the current day waits for what the days before it announced."""
    await desk.record(desk.provider.mandate())
    early, late = desk.wish(run_date=date(2022, 9, 26)), desk.wish(run_date=TODAY)
    await desk.day(TODAY, 1, since_date=date(2022, 9, 26))
    await desk.hear(late)
    await desk.hear(early.model_copy(update={"version": 2, "target_minor": 100}))
    assert await runs(desk) == []
    await desk.day(date(2022, 9, 26), 1, since_date=date(2022, 9, 26), current=False)
    debit = await desk.until(late, lambda debit: debit["state"] == "submitted")
    assert debit["amount_minor"] == 30100


async def test_an_older_version_with_its_run_date_is_counted_all_the_same(desk: Desk) -> None:
    await desk.record(desk.provider.mandate())
    wish = desk.wish(run_date=TODAY)
    await desk.hear(wish.model_copy(update={"version": 2, "target_minor": 100, "run_date": None}))
    await desk.day(TODAY, 1)
    await desk.hear(wish)
    debit = await desk.until(wish, lambda debit: debit["state"] == "submitted")
    assert debit["amount_minor"] == 100


async def test_a_straggler_holds_nobody_up_for_longer_than_ten_minutes(desk: Desk) -> None:
    await desk.record(desk.provider.mandate())
    wish = desk.wish(run_date=TODAY)
    await desk.hear(wish)
    await desk.day(TODAY, 2)
    await until_postponed(desk)
    assert await runs(desk) == []
    async with desk.room.inside(desk.business_id) as db:
        await db.execute(text("update billed_days set heard_at = heard_at - interval '10 minutes'"))
        await db.execute(text("update work set due_at = now() where kind = 'run'"))
    await desk.until(wish, lambda debit: debit["state"] == "submitted")


async def until_postponed(desk: Desk) -> None:
    async with asyncio.timeout(10):
        while True:
            async with desk.room.inside(desk.business_id) as db:
                row = text("select error from work where kind = 'run' and business_id = :id")
                if await db.scalar(row, {"id": desk.business_id}):
                    return
            await asyncio.sleep(0.05)


async def test_a_settlement_is_final_after_three_bank_days_and_that_is_told_once(desk: Desk) -> None:
    wish, debit, callbacks = await desk.decided("settle")
    for body in callbacks:
        await desk.call_back(body)
    settled = await desk.until(wish, lambda debit: debit["state"] == "settled")
    assert (settled["settled_date"], settled["final"]) == ("2022-09-27", False)
    for on in (date(2022, 9, 29), date(2022, 9, 30), date(2022, 10, 1)):
        await desk.day(on)
        await desk.room.idle(desk.business_id)
    told = await desk.facts(debit)
    assert [(type(fact).__name__, fact.sequence, fact.items[0].final) for fact in told] == [
        ("DebitSubmitted", 1, False),
        ("DebitSettled", 2, False),
        ("DebitSettled", 3, True),
    ]
    assert isinstance(told[-1], DebitSettled)
    assert told[-1].items[0] == told[-2].items[0].model_copy(update={"final": True})
    assert (await desk.debits(wish))[-1]["final"]


# By a person (CC-33)


async def reviewed(desk: Desk) -> None:
    async with desk.room.http(desk.owner) as http:
        assert (await http.put("provider/processing", json={"process_billing": "reviewed"})).status_code == 200


async def test_reviewed_nothing_goes_out_until_somebody_confirms_the_list(desk: Desk) -> None:
    await desk.record(desk.provider.mandate())
    await reviewed(desk)
    wish = desk.wish()
    for on in (TODAY, date(2022, 9, 28)):
        await desk.hear(wish)
        await desk.day(on)
        await desk.room.idle(desk.business_id)
    assert (await desk.debits(wish), await runs(desk)) == ([], [])
    run = (await desk.post("runs")).json()
    assert (run["state"], run["results"]) == (
        "listed",
        [{"state": "created", "debits": 1, "amount_minor": 30000}],
    )
    await desk.room.idle(desk.business_id)
    (listed,) = await desk.debits(wish)
    assert (listed["state"], desk.provider.payments(listed)) == ("created", [])
    confirmed = await desk.post(f"runs/{run['run_id']}/confirm")
    assert confirmed.json()["state"] == "confirmed"
    await desk.until(wish, lambda debit: debit["state"] == "submitted")
    assert (await desk.post(f"runs/{run['run_id']}/confirm")).status_code == 409
    assert (await desk.post(f"runs/{run['run_id']}/cancel")).status_code == 409


async def test_a_list_follows_what_billing_wants_until_it_is_confirmed(desk: Desk) -> None:
    await desk.record(desk.provider.mandate())
    first, second = desk.wish(), desk.wish()
    await desk.hear(first, second)
    run = (await desk.post("runs")).json()
    await desk.hear(
        first.model_copy(update={"version": 2, "target_minor": 10000}),
        second.model_copy(update={"version": 2, "target_minor": 0}),
    )
    (debit,) = await desk.debits(first)
    assert (debit["amount_minor"], len(debit["items"])) == (10000, 1)
    await desk.post(f"runs/{run['run_id']}/confirm")
    sent = await desk.until(first, lambda debit: debit["state"] == "submitted")
    assert [payment["amount"] for payment in desk.provider.payments(sent)] == [10000]


async def test_a_list_that_is_cancelled_leaves_all_of_it_due(desk: Desk) -> None:
    await desk.record(desk.provider.mandate())
    wish = desk.wish()
    await desk.hear(wish)
    run = (await desk.post("runs")).json()
    assert (await desk.post(f"runs/{run['run_id']}/cancel")).json()["state"] == "cancelled"
    assert (await desk.debits(wish))[0]["state"] == "cancelled"
    await desk.day()
    debit = await desk.until(wish, lambda debit: debit["state"] == "submitted")
    assert debit["items"][0]["attempt_no"] == 1


async def test_a_list_confirmed_days_later_is_debited_on_a_day_without_another_debit(desk: Desk) -> None:
    await desk.record(desk.provider.mandate())
    listed, due = desk.wish(), desk.wish()
    await desk.hear(listed)
    run = (await desk.post("runs")).json()
    await clock_to(desk, date(2022, 9, 29))
    await desk.hear(due)
    await desk.day(date(2022, 9, 29))
    assert (await desk.until(due, lambda debit: debit["state"] == "submitted"))["charge_date"] == "2022-09-29"
    await desk.post(f"runs/{run['run_id']}/confirm")
    debit = await desk.until(listed, lambda debit: debit["state"] == "submitted")
    assert debit["charge_date"] == "2022-09-30"


async def test_only_who_may_process_debits_makes_a_run(desk: Desk) -> None:
    token = desk.room.issuer.staff(desk.business_id, permissions=["billing.tab.access"])
    async with desk.room.http(token) as http:
        assert (await http.get("runs")).status_code == 200
        for path in ("runs", f"runs/{new_id()}/confirm", f"runs/{new_id()}/cancel", f"collections/{new_id()}/retry"):
            assert (await http.post(path)).status_code == 403
    for path in (f"runs/{new_id()}/confirm", f"runs/{new_id()}/cancel", f"collections/{new_id()}/retry"):
        assert (await desk.post(path)).status_code == 404
