"""Debits that bring nothing, or lose what they brought: tried again by the reason, or left to a person."""

import itertools
import random
from dataclasses import asdict
from datetime import date
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from services.directdebit.bank.callbacks import parse
from services.directdebit.rules.folding import fold
from services.directdebit.tables.callbacks import ProviderFact
from shared.events.directdebit import DebitClaimed, DebitDeclined, DebitReturned, DebitSettled
from shared.ids import new_id
from tests.directdebit.conftest import Desk, callback

pytestmark = pytest.mark.servers


@pytest.mark.parametrize("order", list(itertools.permutations(range(2))))
async def test_case_12_a_decline_that_comes_before_its_submission_is_told_once(
    desk: Desk, order: tuple[int, ...]
) -> None:
    wish, debit, _ = await desk.decided("decline")
    await desk.bring(debit, order)
    await desk.until(wish, lambda debit: debit["state"] == "declined")
    assert [type(fact).__name__ for fact in await desk.facts(debit)] == ["DebitSubmitted", "DebitDeclined"]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_case_13_money_taken_back_is_taken_back_in_every_order(desk: Desk, order: tuple[int, ...]) -> None:
    wish, debit, _ = await desk.decided("settle")
    desk.provider.decide(debit["provider_ref"], "late_failure")
    await desk.bring(debit, order)
    returned = await desk.until(wish, lambda debit: debit["state"] == "returned_by_bank")
    assert (returned["code"], returned["final"]) == ("insufficient_funds", False)
    last = (await desk.facts(debit))[-1]
    assert isinstance(last, DebitReturned)
    assert (last.items[0].collected_minor, last.items[0].next_attempt_date) == (0, date(2022, 9, 30))


async def test_case_14_money_taken_back_after_it_was_paid_out_is_tried_again(desk: Desk) -> None:
    wish, debit, _ = await desk.decided("settle")
    desk.provider.decide(debit["provider_ref"], "pay_out")
    await desk.bring(debit)
    for on in (date(2022, 9, 30), date(2022, 10, 3)):
        await desk.day(on)
        await desk.room.idle(desk.business_id)
    assert (await desk.debits(wish))[-1]["final"]
    desk.provider.decide(debit["provider_ref"], "late_failure")
    await desk.bring(debit)
    assert isinstance((await desk.facts(debit))[-1], DebitReturned)
    await desk.day(date(2022, 10, 4))
    again = await desk.until(wish, lambda debit: debit["state"] == "submitted")
    assert again["items"][0]["attempt_no"] == 2


async def test_case_15_a_claim_blocks_sending_until_it_is_withdrawn(desk: Desk) -> None:
    wish, debit, _ = await desk.decided("settle")
    desk.provider.decide(debit["provider_ref"], "charge_back")
    await desk.bring(debit)
    await desk.until(wish, lambda debit: debit["state"] == "claimed")
    claimed = (await desk.facts(debit))[-1]
    assert isinstance(claimed, DebitClaimed)
    assert (claimed.code, claimed.items[0].collected_minor) == ("authorisation_disputed", 0)
    assert (await desk.get("mandates"))["items"][-1]["state"] == "cancelled"
    await desk.record(desk.provider.mandate())
    await desk.day(date(2022, 9, 28))
    await desk.room.idle(desk.business_id)
    assert len(await desk.debits(wish)) == 1
    withdrawn = desk.event_of(debit, "charged_back", action="chargeback_cancelled")
    await desk.call_back(callback(withdrawn))
    await desk.until(wish, lambda debit: debit["state"] == "settled")
    assert isinstance((await desk.facts(debit))[-1], DebitSettled)


async def test_case_16_a_contradiction_blocks_sending_and_the_provider_is_asked(desk: Desk) -> None:
    wish, debit, _ = await desk.decided("decline")
    await desk.bring(debit)
    await desk.call_back(callback(desk.event_of(debit, "failed", action="confirmed")))
    await desk.room.idle(desk.business_id)
    assert "said_failed" in [fact["action"] for fact in await desk.told(debit)]
    (declined,) = await desk.debits(wish)
    assert (declined["state"], declined["review"]) == ("declined", None)
    assert [type(fact).__name__ for fact in await desk.facts(debit)][-1] == "DebitDeclined"


async def test_case_17_of_two_facts_at_one_moment_the_bad_one_is_the_last(desk: Desk) -> None:
    wish, debit, _ = await desk.decided("settle")
    confirmed = desk.event_of(debit, "confirmed")
    failed = confirmed | {
        "id": f"EV{new_id()}",
        "action": "failed",
        "details": {"origin": "bank", "cause": "refer_to_payer", "scheme": "becs", "reason_code": "6"},
    }
    await desk.call_back(callback(failed, confirmed))
    await desk.until(wish, lambda debit: debit["state"] == "returned_by_bank")


@pytest.mark.parametrize("first", ["mandate", "payment"])
async def test_case_19_a_cancelled_mandate_and_its_payment_come_in_any_order(desk: Desk, first: str) -> None:
    provider_mandate = desk.provider.mandate()
    await desk.record(provider_mandate)
    wish, debit = await desk.sent()
    cancelled = {
        "id": f"EV{new_id()}",
        "created_at": "2022-09-27T22:00:00.000000Z",
        "resource_type": "mandates",
        "action": "cancelled",
        "details": {"origin": "bank", "cause": "mandate_cancelled", "scheme": "becs"},
        "links": {"mandate": provider_mandate},
    }
    child = desk.event_of(debit, "submitted", action="cancelled", details=cancelled["details"])
    child["links"]["parent_event"] = cancelled["id"]
    events = [cancelled, child] if first == "mandate" else [child, cancelled]
    for event in events:
        await desk.call_back(callback(event))
        await desk.room.idle(desk.business_id)
    (declined,) = await desk.debits(wish)
    assert (declined["state"], declined["code"]) == ("declined", "mandate_cancelled")
    assert (await desk.get("mandates"))["items"][-1]["state"] == "cancelled"
    told = [fact for fact in await desk.facts(debit) if isinstance(fact, DebitDeclined)]
    assert [(fact.reason_class, fact.items[0].next_attempt_date) for fact in told] == [("hard", None)]


async def test_a_mandate_that_is_suspended_lets_nothing_out_until_it_is_active_again(desk: Desk) -> None:
    provider_mandate = desk.provider.mandate()
    await desk.record(provider_mandate)
    wish = desk.wish()
    await desk.hear(wish)
    for hour, action in ((1, "suspended_by_payer"), (2, "reinstated")):
        event = {
            "id": f"EV{new_id()}",
            "created_at": f"2022-09-27T0{hour}:00:00.000000Z",
            "resource_type": "mandates",
            "action": action,
            "details": {"origin": "payer", "cause": "mandate_suspended_by_payer"},
            "links": {"mandate": provider_mandate},
        }
        await desk.call_back(callback(event))
        await desk.room.idle(desk.business_id)
        await desk.day(date(2022, 9, 27 + hour))
        await desk.room.idle(desk.business_id)
        assert len(await desk.debits(wish)) == hour - 1


async def test_case_20_an_unknown_reason_is_never_tried_again(desk: Desk) -> None:
    wish, debit, _ = await desk.decided("decline", cause="a_cause_of_tomorrow", reason_code="Z9")
    await desk.bring(debit)
    declined = await desk.until(wish, lambda debit: debit["state"] == "declined")
    assert (declined["code"], declined["reason_class"]) == ("a_cause_of_tomorrow", "hard")
    assert [fact["code"] for fact in await desk.told(debit)][-1] == "Z9"
    assert (await desk.get(f"collections/{wish.instalment_id}"))["next_date"] is None


async def test_case_21_a_test_callback_is_answered_and_parked(desk: Desk) -> None:
    event = {
        "id": f"EV{new_id()}",
        "created_at": "2022-09-27T01:00:00.000000Z",
        "resource_type": "payments",
        "action": "failed",
        "details": {"origin": "bank", "cause": "test_failure"},
        "links": {"payment": "index_ID_123"},
    }
    assert (await desk.call_back(callback(event))).status_code == 204
    await desk.room.idle(desk.business_id)
    async with desk.room.inside(desk.business_id) as db:
        assert list(await db.scalars(text("select state from provider_facts"))) == ["parked"]


def ended(state: str, debit: dict[str, Any]) -> bool:
    return bool(debit["state"] == state)


async def test_case_24_three_lives_told_in_every_order_end_alike(desk: Desk) -> None:
    """One is taken back, one declined, one collected; the bank's own callbacks, in all orders, any of them twice."""
    await desk.record(desk.provider.mandate())
    ends = {"returned_by_bank": ("settle", "late_failure"), "declined": ("decline",), "settled": ("settle", "pay_out")}
    debits: dict[str, dict[str, Any]] = {}
    wishes = {}
    for number, (end, moves) in enumerate(ends.items()):
        wishes[end] = desk.wish()
        await desk.hear(wishes[end])
        await desk.day(date(2022, 9, 27 + number))
        debits[end] = await desk.until(wishes[end], lambda debit: debit["state"] == "submitted")
        for move in moves:
            desk.provider.decide(debits[end]["provider_ref"], move)
    bodies = []
    for end, debit in debits.items():
        told = desk.provider.callbacks(debit["provider_ref"])
        facts = [ProviderFact(**asdict(notice)) for body in told for notice in parse(body).notices]
        assert {fold(order)[0] for order in itertools.permutations(facts)} == {end}
        bodies += told
    chance = random.Random(24)
    shuffled = bodies * 2
    chance.shuffle(shuffled)
    for body in shuffled:
        await desk.call_back(body)
    for end, wish in wishes.items():
        await desk.until(wish, partial(ended, end))
    last = {end: (await desk.facts(debit))[-1].items[0].collected_minor for end, debit in debits.items()}
    assert last == {"returned_by_bank": 0, "declined": 0, "settled": 30000}
