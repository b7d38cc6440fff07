"""Collections become debits, and each debit one payment: the practice bank is the judge of what was debited."""

import asyncio
import itertools
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from services.directdebit.bank import Absent, Unknown
from services.directdebit.bank.gocardless import GoCardless
from shared.events.directdebit import DebitDeclined, DebitEvent, DebitSubmitted
from shared.ids import new_id
from tests.directdebit.conftest import Desk, Faulty

pytestmark = pytest.mark.servers


async def test_a_collection_is_debited_by_the_days_run_and_told(desk: Desk) -> None:
    await desk.record(desk.provider.mandate())
    _, debit = await desk.sent()
    (payment,) = desk.provider.payments(debit)
    assert (payment["id"], payment["amount"], payment["currency"]) == (debit["provider_ref"], 30000, "AUD")
    assert payment["idempotency_key"] == debit["debit_id"]
    (fact,) = await desk.facts(debit)
    assert isinstance(fact, DebitSubmitted)
    assert (fact.sequence, fact.items[0].in_flight_minor, fact.items[0].attempt_no) == (1, 30000, 1)


async def test_what_is_asked_for_late_is_debited_today_and_never_in_the_past(desk: Desk) -> None:
    await desk.record(desk.provider.mandate())
    wish = desk.wish(collect_date=date(2022, 9, 13))
    await desk.room.hear(desk.business_id, wish, on=date(2022, 9, 13))
    await desk.day()
    debit = await desk.until(wish, lambda debit: debit["state"] == "submitted")
    (payment,) = desk.provider.payments(debit)
    assert payment["charge_date"] == "2022-09-27"


async def test_without_a_mandate_it_waits_visibly_and_goes_out_with_one(desk: Desk) -> None:
    wishes = [desk.wish(), desk.wish()]
    await desk.collect(*wishes)
    waiting = (await desk.get("collections", waiting=True))["items"]
    assert {each["instalment_id"] for each in waiting} == {str(wish.instalment_id) for wish in wishes}
    assert [each["remaining_minor"] for each in waiting] == [30000, 30000]
    await desk.record(desk.provider.mandate())
    await desk.day()
    debits = [await desk.until(wish, lambda debit: debit["state"] == "submitted") for wish in wishes]
    assert {debit["debit_id"] for debit in debits} == {debits[0]["debit_id"]}
    assert debits[0]["amount_minor"] == 60000
    assert (await desk.get("collections", waiting=True))["items"] == []


async def test_the_newest_version_wins_in_every_order(desk: Desk) -> None:
    wish = desk.wish()
    versions = [wish.model_copy(update={"version": n, "target_minor": n * 100}) for n in (1, 2, 3)]
    for order in itertools.permutations(versions):
        instalment_id = new_id()
        await desk.hear(*(each.model_copy(update={"instalment_id": instalment_id}) for each in order))
        async with desk.room.inside(desk.business_id) as db:
            row = text("select version, target_minor from collections where instalment_id = :id")
            assert tuple((await db.execute(row, {"id": instalment_id})).one()) == (3, 300)


async def test_case_31_the_same_wish_many_times_at_once_is_one_debit(desk: Desk) -> None:
    await desk.record(desk.provider.mandate())
    wish = desk.wish()
    await asyncio.gather(*(desk.collect(wish, wish) for _ in range(8)))
    debit = await desk.until(wish, lambda debit: debit["state"] == "submitted")
    assert len(await desk.debits(wish)) == 1
    assert len(desk.provider.payments(debit)) == 1


async def test_case_32_the_database_refuses_a_second_live_item(desk: Desk) -> None:
    await desk.record(desk.provider.mandate())
    wish, debit = await desk.sent()
    copy = text(
        "insert into debits select (jsonb_populate_record(d, jsonb_build_object('debit_id', cast(:new as text),"
        " 'provider_ref', null, 'state', 'created'))).* from debits d where debit_id = :old"
    )
    item = text(
        "insert into debit_items select"
        " (jsonb_populate_record(i, jsonb_build_object('debit_id', cast(:new as text)))).*"
        " from debit_items i where debit_id = :old"
    )
    with pytest.raises(IntegrityError, match="one_live_item"):
        async with desk.room.inside(desk.business_id) as db:
            for statement in (copy, item):
                await db.execute(statement, {"new": str(new_id()), "old": debit["debit_id"]})
    assert len(await desk.debits(wish)) == 1


async def test_a_debit_that_the_provider_refuses_is_told_and_waits(desk: Desk) -> None:
    await desk.record("MD0NOSUCHMANDATE")
    wish = desk.wish()
    await desk.collect(wish)
    debit = await desk.until(wish, lambda debit: debit["state"] == "refused")
    assert desk.provider.payments(debit) == []
    (fact,) = await desk.facts(debit)
    assert isinstance(fact, DebitDeclined)
    assert (fact.reason_class, fact.code, fact.items[0].in_flight_minor) == ("hard", "mandate", 0)
    assert (await desk.get("mandates"))["items"][-1]["state"] == "failed"
    await desk.record(desk.provider.mandate())
    await desk.day()
    again = await desk.until(wish, lambda debit: debit["state"] == "submitted")
    assert again["items"][0]["attempt_no"] == 2


@pytest.mark.parametrize(("fault", "sends"), [("lost on the way", 2), ("answer lost", 1), ("500 and done", 1)])
async def test_case_27_a_debit_in_doubt_is_looked_up_and_made_once(
    desk: Desk, faulty: Faulty, fault: str, sends: int
) -> None:
    faulty.faults = [fault]
    await desk.record(desk.provider.mandate())
    wish = desk.wish()
    await desk.collect(wish)
    await desk.until(wish, lambda debit: debit["state"] == "unknown")
    assert await desk.room.facts(desk.business_id, DebitEvent) == []
    await desk.hear(wish.model_copy(update={"version": 2, "target_minor": 100}))
    debit = await desk.until(wish, lambda debit: debit["state"] == "submitted")
    assert len(await desk.debits(wish)) == 1
    assert [payment["id"] for payment in desk.provider.payments(debit)] == [debit["provider_ref"]]
    assert (len(faulty.bodies), len(set(faulty.bodies))) == (sends, 1)


async def test_case_28_the_same_key_makes_one_payment_though_the_look_up_finds_none(
    desk: Desk, faulty: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty.faults = ["answer lost"]

    async def blind(*_: Any) -> Absent:
        return Absent()

    monkeypatch.setattr(GoCardless, "look_up", blind)
    await desk.record(desk.provider.mandate())
    wish = desk.wish()
    await desk.collect(wish)
    debit = await desk.until(wish, lambda debit: debit["state"] == "submitted")
    assert [payment["id"] for payment in desk.provider.payments(debit)] == [debit["provider_ref"]]
    assert len(faulty.bodies) == 2


async def test_case_28_a_request_that_lands_late_makes_no_second_payment(
    desk: Desk, faulty: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first request is on its way for so long that the look-up finds nothing, and it is sent again."""
    faulty.faults = ["lands late"]
    await desk.record(desk.provider.mandate())
    wish = desk.wish()
    await desk.collect(wish)
    debit = await desk.until(wish, lambda debit: debit["state"] == "submitted")
    assert len(faulty.bodies) == 3
    assert [payment["id"] for payment in desk.provider.payments(debit)] == [debit["provider_ref"]]


async def test_case_29_a_debit_in_doubt_for_too_long_waits_for_the_provider_to_tell(
    desk: Desk, faulty: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is forgotten, and the look-up cannot tell: nothing is sent again, for this instalment or beside it."""
    faulty.faults = ["answer lost"]
    cannot_tell = True
    look_up = GoCardless.look_up

    async def unsure(bank: GoCardless, debit_id: UUID, body: str, since: date) -> Any:
        return Unknown("cannot tell") if cannot_tell else await look_up(bank, debit_id, body, since)

    monkeypatch.setattr(GoCardless, "look_up", unsure)
    await desk.record(desk.provider.mandate())
    wish = desk.wish()
    await desk.collect(wish)
    debit = await desk.until(wish, lambda debit: debit["state"] == "unknown")
    async with desk.room.inside(desk.business_id) as db:
        await db.execute(text("update debits set sent_at = sent_at - interval '25 hours'"))
    again = text("update work set due_at = now(), attempts = 1 where kind = 'submit' and subject_id = :id")
    for _ in range(2):
        async with desk.room.inside(desk.business_id) as db:
            await db.execute(again, {"id": debit["debit_id"]})
        await desk.day(date(2022, 9, 28))
        await asyncio.sleep(0.3)
    assert [each["state"] for each in await desk.debits(wish)] == ["unknown"]
    assert len(faulty.bodies) == 1
    cannot_tell = False
    async with desk.room.inside(desk.business_id) as db:
        await db.execute(again, {"id": debit["debit_id"]})
    await desk.until(wish, lambda debit: debit["state"] == "submitted")
    assert len(faulty.bodies) == 1
    assert len(desk.provider.payments(debit)) == 1


async def test_case_30_two_clicks_on_process_billing_make_one_run(desk: Desk) -> None:
    await desk.record(desk.provider.mandate())
    wish = desk.wish()
    await desk.hear(wish)
    made, refused = sorted(
        await asyncio.gather(desk.post("runs"), desk.post("runs")), key=lambda answer: answer.status_code
    )
    assert (made.status_code, refused.status_code) == (201, 409)
    assert refused.json()["run_id"] == made.json()["run_id"]
    assert made.json()["run_id"] in refused.json()["detail"]
    assert len(await desk.debits(wish)) == 1
    await desk.post(f"runs/{made.json()['run_id']}/cancel")
