"""Who is reminded of what is overdue, and when, on PostgreSQL; and the run held to the rule."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.orm import joinedload, selectinload

from services.billing.actions import daily, falling_due
from services.billing.rules import standing
from services.billing.tables.invoices import Instalment
from shared import failpoints
from shared.database import Context
from shared.events.billing import CollectionRequested, DayBilled, InstalmentOverdue
from shared.events.directdebit import DebitDeclined, DebitSettled, DebitSubmitted
from shared.ids import new_id
from tests.billing.desk import FORTNIGHTLY, PARTS, Studio, closure, debit
from tests.harness.room import Room
from tests.harness.terms import FIRST_DUE, SALE

pytestmark = pytest.mark.servers

REMINDED = FIRST_DUE + timedelta(days=8)
"""Of what is to be debited; a debit may take so long over the longest weekend."""


async def sent(studio: Studio) -> list[tuple[date, dict[str, Any]]]:
    """Reminders with the business date of their envelopes."""
    async with studio.billing.running.database.transaction() as db:
        rows = await db.scalars(
            text(
                "select envelope from (select event_id, type, business_id, envelope from event_log union"
                " select event_id, type, business_id, envelope from outbox) fact"
                " where type = 'billing.instalment_overdue.v1' and business_id = :id order by event_id"
            ),
            {"id": studio.business_id},
        )
        envelopes = [orjson.loads(envelope) for envelope in rows]
    return [(date.fromisoformat(each["businessdate"]), each["data"]) for each in envelopes]


async def test_each_overdue_instalment_is_reminded_of_once(studio: Studio) -> None:
    """V-06, day by day: nothing is ever paid."""
    issued = await studio.owed(**PARTS, auto_pay=False)
    for step in range(1, 32):
        await studio.day(FIRST_DUE + timedelta(days=step))
    first, second, third = issued.instalments[:3]
    reminders = await sent(studio)
    assert [(on, each["instalment_id"]) for on, each in reminders] == [
        (part.due_date + timedelta(days=3), str(part.instalment_id)) for part in (first, second, third)
    ]
    (told, *_) = await studio.told(InstalmentOverdue)
    assert told == InstalmentOverdue(
        instalment_id=first.instalment_id,
        invoice_id=issued.invoice_id,
        invoice_number=issued.number,
        client_id=studio.client_id,
        payer_id=studio.payer_id,
        due_date=FIRST_DUE,
        amount_minor=22000,
        currency="AUD",
    )
    await studio.whole()


async def test_days_that_were_missed_remind_at_their_end_once_each(studio: Studio) -> None:
    issued = await studio.owed(**PARTS, auto_pay=False)
    last = date(2022, 10, 12)
    await studio.day(last)
    reminders = [(on, each["instalment_id"]) for on, each in await sent(studio)]
    assert reminders == [(last, str(part.instalment_id)) for part in issued.instalments[:2]]
    await studio.day(last + timedelta(days=1))
    await studio.day(last + timedelta(days=2))
    assert len(await sent(studio)) == 3, "that of 11/10, when its time has come"


async def test_whoever_a_debit_was_tried_for_is_not_reminded_and_who_paid_some_is_of_the_rest(studio: Studio) -> None:
    sales = [await studio.owed(**FORTNIGHTLY) for _ in range(5)]
    waiting, sent_, declined, paid, partly = sales
    await studio.hear(
        debit(DebitSubmitted, new_id(), 1, sent_.instalments[0].instalment_id, in_flight=30000),
        debit(DebitDeclined, new_id(), 2, declined.instalments[0].instalment_id),
    )
    await studio.pay(paid.invoice_id, 30000)
    await studio.pay(partly.invoice_id, 10000)
    await studio.day(REMINDED - timedelta(days=1))
    assert await studio.told(InstalmentOverdue) == []
    await studio.day(REMINDED)
    reminded = {each.invoice_id: each.amount_minor for each in await studio.told(InstalmentOverdue)}
    assert reminded == {waiting.invoice_id: 30000, partly.invoice_id: 20000}
    await studio.whole()


async def test_a_reminder_looks_like_any_other_fact(studio: Studio) -> None:
    await studio.owed(**FORTNIGHTLY)
    await studio.day(REMINDED)
    async with studio.billing.running.database.transaction() as db:
        rows = await db.execute(
            text(
                "select event_id, type, subject, envelope from event_log where business_id = :id union all"
                " select event_id, type, subject, envelope from outbox where business_id = :id"
            ),
            {"id": studio.business_id},
        )
        facts = {row.type: (row, orjson.loads(row.envelope)) for row in rows}
    row, envelope = facts[InstalmentOverdue.type]
    assert (str(row.event_id), row.type, row.subject) == (envelope["id"], envelope["type"], envelope["subject"])
    assert row.subject == envelope["data"]["instalment_id"]
    assert envelope.keys() - {"causationid"} == facts[CollectionRequested.type][1].keys() - {"causationid"}
    assert envelope["data"].keys() == InstalmentOverdue.model_fields.keys()


# Killed, overtaken


async def bill(studio: Studio, until: date) -> Callable[[], Any]:
    """Days have started and nobody bills them; what is returned bills a piece, as the worker does."""
    database, context = studio.billing.running.database, Context(studio.business_id, "service:billing")
    async with database.transaction() as db:
        await db.enter(replace(context, business_date=until))
        await daily.start_days(db, until)
        await db.execute(text("delete from work where kind = 'bill_days'"))

    async def piece() -> bool:
        async with database.transaction() as db:
            await db.enter(context)
            return await daily.bill_next(db)

    return piece


@pytest.fixture
async def overdue(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> Studio:
    """Five instalments that are to be reminded of on the 21st, two in each piece of the run."""
    for _ in range(5):
        await studio.owed(**FORTNIGHTLY)
    await studio.day(REMINDED - timedelta(days=1))
    monkeypatch.setattr(daily, "AT_ONCE", 2)
    monkeypatch.setattr(falling_due, "AT_ONCE", 2)
    return studio


@pytest.mark.parametrize("nth", [1, 2, 3])
async def test_a_run_that_dies_while_it_reminds_reminds_everybody_once(
    overdue: Studio, nth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = []

    def die(name: str) -> None:
        passes.append(name)
        if name == "day.reminders" and passes.count(name) == nth:
            raise RuntimeError(name)

    piece = await bill(overdue, REMINDED)
    with monkeypatch.context() as doomed:
        doomed.setattr(failpoints, "hit", die)
        with pytest.raises(RuntimeError, match=r"day\.reminders"):
            while await piece():
                pass
    assert len(await overdue.told(InstalmentOverdue)) == 2 * (nth - 1)
    while await piece():
        pass
    reminded = [each.instalment_id for each in await overdue.told(InstalmentOverdue)]
    assert len(reminded) == len(set(reminded)) == 5
    assert [day.current for day in await overdue.told(DayBilled) if day.business_date == REMINDED] == [True]
    await overdue.whole()


async def test_a_day_that_starts_while_payers_are_reminded_leaves_the_rest_to_itself(overdue: Studio) -> None:
    piece = await bill(overdue, REMINDED)
    assert await piece()
    assert len(await overdue.told(InstalmentOverdue)) == 2
    piece = await bill(overdue, REMINDED + timedelta(days=1))
    while await piece():
        pass
    dates = [on for on, _ in await sent(overdue)]
    assert dates == [REMINDED] * 2 + [REMINDED + timedelta(days=1)] * 3
    days = [(day.business_date, day.current) for day in await overdue.told(DayBilled)][-2:]
    assert days == [(REMINDED, False), (REMINDED + timedelta(days=1), True)]


async def test_runs_and_payments_at_once_remind_nobody_twice(overdue: Studio) -> None:
    piece = await bill(overdue, REMINDED)

    async def run() -> None:
        while await piece():
            pass

    invoices = (await overdue.read("invoices"))["items"]
    await asyncio.gather(run(), run(), *(overdue.pay(each["invoice_id"], 30000) for each in invoices[:3]))
    reminded = [str(each.invoice_id) for each in await overdue.told(InstalmentOverdue)]
    assert len(reminded) == len(set(reminded))
    assert {each["invoice_id"] for each in invoices[3:]} <= set(reminded)
    assert {each.amount_minor for each in await overdue.told(InstalmentOverdue)} == {30000}
    await overdue.whole()


# By the rule

EVENTS = st.sampled_from(["nothing", "nothing", "part", "whole", "submitted", "declined", "settled", "closed"])
LIVES = st.tuples(
    st.booleans(),
    st.sampled_from([FORTNIGHTLY, PARTS]),
    st.integers(0, 20),
    st.lists(EVENTS, min_size=3, max_size=3),
)


async def expected(studio: Studio, on: date) -> dict[UUID, InstalmentOverdue]:
    """Whom the rule reminds on a date, as things stood before it."""
    rows = select(Instalment).options(joinedload(Instalment.invoice), selectinload(Instalment.debit_facts))
    reminders = []
    async with studio.billing.inside(studio.business_id) as db:
        for instalment in (await db.scalars(rows)).all():
            if instalment.reminded_date == on:
                instalment.reminded_date = None
            reminders.append(standing.remind(instalment.invoice, instalment, today=on))
        db.expunge_all()
    return {each.instalment_id: each for each in reminders if each}


async def live(studio: Studio, event: str, sale: Any, on: date) -> None:
    """Something happens to the first invoice of a sale."""
    (invoice, *_) = (await studio.read("invoices", package_id=sale.package_id))["items"]
    first = (await studio.read(f"invoices/{invoice['invoice_id']}"))["instalments"][0]
    if event == "closed":
        await studio.hear(closure(sale, []), on=on)
    elif first["open_minor"] <= first["in_flight_minor"] or event == "nothing":
        return
    elif event in ("part", "whole"):
        await studio.pay(invoice["invoice_id"], 1 if event == "part" else first["open_minor"])
    else:
        part, open_minor = UUID(first["instalment_id"]), first["open_minor"] - first["in_flight_minor"]
        facts = {
            "submitted": debit(DebitSubmitted, new_id(), 1, part, in_flight=open_minor),
            "declined": debit(DebitDeclined, new_id(), 2, part),
            "settled": debit(DebitSettled, new_id(), 2, part, collected=open_minor // 2 + 1),
        }
        await studio.hear(facts[event], on=on)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lives=st.lists(LIVES, min_size=1, max_size=5), steps=st.lists(st.integers(1, 9), min_size=3, max_size=3))
async def test_the_run_reminds_whom_the_rule_does(billing: Room, lives: list[Any], steps: list[int]) -> None:
    studio = Studio(billing, await billing.business(), new_id(), new_id())
    sales = []
    for auto_pay, terms, later, _ in lives:
        sales.append(studio.sale(**terms, auto_pay=auto_pay, first_due=SALE + timedelta(days=later)))
    await studio.hear(*sales, on=SALE)
    today, known = SALE, dict[UUID, InstalmentOverdue]()
    for turn, step in enumerate(steps):
        for sale, (*_, events) in zip(sales, lives, strict=True):
            await live(studio, events[turn], sale, today)
        today += timedelta(days=step)
        await studio.day(today)
        news = await expected(studio, today)
        assert not news.keys() & known.keys()
        known |= news
        told = await studio.told(InstalmentOverdue)
        assert len(told) == len(known)
        assert {each.instalment_id: each for each in told} == known
    await studio.whole()
