"""Billing's doors on PostgreSQL; the test speaks for packages and directdebit."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from services.billing.invariants import INVARIANTS
from shared.events import Event
from shared.events.billing import ClosureBilled, CollectionFailed, CollectionRequested, InvoiceIssued
from shared.events.catalog import Tier
from shared.events.directdebit import DebitDeclined, DebitEvent, DebitItem, DebitSettled, DebitSubmitted
from shared.events.packages import PackageClosed, PackageSold, UsedSession
from shared.ids import new_id
from tests.harness.room import Room
from tests.harness.terms import FIRST_DUE, POST_BILL, SALE, sold

pytestmark = pytest.mark.servers

NOW = datetime(2022, 9, 13, 0, 0, tzinfo=UTC)
FORTNIGHTLY: dict[str, Any] = {"form": "recurring", "frequency": "fortnightly", "price_minor": 30000, "term_weeks": 0}
TIERS = [Tier(at_least=1, rate_minor=6000), Tier(at_least=5, rate_minor=5500)]


@dataclass
class Studio:
    """A business, the tokens of its people, and what was sold."""

    billing: Room
    business_id: UUID
    client_id: UUID
    payer_id: UUID

    def sale(self, **changes: Any) -> PackageSold:
        return sold(self.client_id, self.payer_id, **changes)

    async def hear(self, *events: Event, on: date = FIRST_DUE) -> None:
        await self.billing.hear(self.business_id, *events, on=on)

    async def owed(self, **changes: Any) -> InvoiceIssued:
        """Sell a package and return its invoice."""
        sale = self.sale(**changes)
        await self.hear(sale)
        issued: list[InvoiceIssued] = await self.told(InvoiceIssued)
        return next(each for each in issued if each.package_id == sale.package_id)

    async def told(self, kind: type[Event]) -> list[Any]:
        return await self.billing.facts(self.business_id, kind)

    async def read(self, path: str, **query: Any) -> Any:
        async with self.billing.http(self.billing.issuer.staff(self.business_id)) as http:
            answer = await http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def whole(self) -> None:
        assert await self.billing.violations(self.business_id) == {}


@pytest.fixture
async def studio(billing: Room) -> Studio:
    return Studio(billing, await billing.business(test_now=NOW), new_id(), new_id())


def debit(
    kind: type[DebitEvent],
    debit_id: UUID,
    sequence: int,
    *instalments: UUID,
    collected: int = 0,
    in_flight: int = 0,
    attempt_no: int = 1,
    final: bool = False,
    currency: str = "AUD",
) -> DebitEvent:
    """What directdebit tells of a debit, the same for each of its items."""
    items = [
        DebitItem(
            instalment_id=each,
            attempt_no=attempt_no,
            collected_minor=collected,
            in_flight_minor=in_flight,
            final=final,
        )
        for each in instalments
    ]
    why = {"code": "6", "reason_class": "soft"} if kind is DebitDeclined else {}
    return kind.model_validate(
        {"debit_id": debit_id, "sequence": sequence, "currency": currency, "items": [dict(i) for i in items], **why}
    )


def closure(sale: PackageSold, outcomes: list[str], counted_before: int = 0) -> PackageClosed:
    sessions = [
        UsedSession.model_validate(
            {"booking_id": new_id(), "service_id": new_id(), "session_date": SALE, "outcome": outcome}
        )
        for outcome in outcomes
    ]
    return PackageClosed(
        package_id=sale.package_id,
        closure_id=new_id(),
        counted_before=counted_before,
        sessions=sessions,
        tiers=TIERS,
        currency="AUD",
    )


# Sales


@pytest.mark.behaviour("CC-04")
async def test_a_package_paid_in_full_makes_one_invoice(studio: Studio) -> None:
    sale = studio.sale(first_due=SALE)
    await studio.hear(sale, on=SALE)
    (issued,) = await studio.told(InvoiceIssued)
    assert (issued.number, issued.total_minor, issued.payer_id) == (1, 50000, studio.payer_id)
    shown = await studio.read(f"invoices/{issued.invoice_id}")
    assert shown["lines"] == [{"description": "10 sessions", "amount_minor": 50000, "booking_id": None}]
    assert [(part["due_date"], part["open_minor"], part["state"]) for part in shown["instalments"]] == [
        ("2022-09-09", 50000, "due")
    ]
    assert (shown["issued_date"], shown["label"]) == ("2022-09-09", "overdue")
    await studio.whole()


@pytest.mark.behaviour("CC-09", "CC-10", "CC-12")
async def test_an_invoice_shows_its_instalments_with_their_dates(studio: Studio) -> None:
    issued = await studio.owed(
        form="instalments", price_minor=110000, instalment_count=5, frequency="fortnightly", auto_pay=False
    )
    shown = await studio.read(f"invoices/{issued.invoice_id}")
    assert [(part["due_date"], part["amount_minor"], part["label"]) for part in shown["instalments"]] == [
        ("2022-09-13", 22000, "due"),
        ("2022-09-27", 22000, "scheduled"),
        ("2022-10-11", 22000, "scheduled"),
        ("2022-10-25", 22000, "scheduled"),
        ("2022-11-08", 22000, "scheduled"),
    ]
    assert (shown["open_minor"], shown["label"]) == (110000, "due")
    assert await studio.told(CollectionRequested) == []
    await studio.whole()


async def test_what_is_due_at_the_sale_is_collected_and_the_rest_is_not_yet(studio: Studio) -> None:
    issued = await studio.owed(form="recurring", price_minor=30000, frequency="fortnightly", term_weeks=4)
    (asked,) = await studio.told(CollectionRequested)
    assert asked.instalment_id == issued.instalments[0].instalment_id
    assert (asked.version, asked.target_minor, asked.collect_date) == (1, 30000, FIRST_DUE)


async def test_a_sale_told_again_bills_nothing_more(studio: Studio) -> None:
    sale = studio.sale()
    await asyncio.gather(*(studio.hear(sale, sale) for _ in range(4)))
    assert len(await studio.told(InvoiceIssued)) == 1
    assert len(await studio.told(CollectionRequested)) == 1
    await studio.whole()


async def test_invoices_are_numbered_without_a_gap_whoever_writes_them(studio: Studio) -> None:
    broken = studio.sale(form="instalments")
    await asyncio.gather(*(studio.hear(studio.sale(), broken, studio.sale()) for _ in range(6)))
    assert sorted(issued.number for issued in await studio.told(InvoiceIssued)) == list(range(1, 13))
    await studio.whole()


async def test_an_amount_beyond_32_bits_is_billed(studio: Studio) -> None:
    issued = await studio.owed(price_minor=10**12)
    assert (await studio.read(f"invoices/{issued.invoice_id}"))["total_minor"] == 10**12
    await studio.whole()


# Closures


@pytest.mark.behaviour("EZ-04", "EZ-19", "EZ-21")
async def test_a_post_billed_package_is_billed_at_its_close(studio: Studio) -> None:
    """V-08."""
    sale = studio.sale(**POST_BILL)
    await studio.hear(sale)
    assert await studio.read("invoices", package_id=sale.package_id) == {"items": [], "next_cursor": None}
    assert (await studio.read(f"packages/{sale.package_id}/billing"))["billing"] is None
    closed = closure(sale, [*["attended"] * 4, "no_show", "late_cancelled"])
    await studio.hear(closed)
    (issued,) = await studio.told(InvoiceIssued)
    assert [line.amount_minor for line in issued.lines] == [5500] * 6
    assert {line.booking_id for line in issued.lines} == {session.booking_id for session in closed.sessions}
    assert "10 sessions: 2022-09-09, no-show" in {line.description for line in issued.lines}
    (billed,) = await studio.told(ClosureBilled)
    assert (billed.closure_id, billed.invoice_id) == (closed.closure_id, issued.invoice_id)
    billing = (await studio.read(f"packages/{sale.package_id}/billing"))["billing"]
    assert (billing["invoiced_minor"], billing["open_minor"], billing["label"]) == (33000, 33000, "due")
    await studio.whole()


async def test_a_closure_is_answered_once_also_when_nothing_was_used(studio: Studio) -> None:
    sale = studio.sale(**POST_BILL)
    closed = closure(sale, [])
    await studio.hear(sale)
    await asyncio.gather(*(studio.hear(closed) for _ in range(4)))
    assert await studio.told(InvoiceIssued) == []
    assert [billed.invoice_id for billed in await studio.told(ClosureBilled)] == [None]
    billing = (await studio.read(f"packages/{sale.package_id}/billing"))["billing"]
    assert (billing["invoiced_minor"], billing["label"]) == (0, None)
    await studio.whole()


async def test_a_supplementary_closure_has_its_own_invoice(studio: Studio) -> None:
    sale = studio.sale(**POST_BILL)
    await studio.hear(sale, closure(sale, ["attended"] * 4), closure(sale, ["attended"], counted_before=4))
    assert [issued.total_minor for issued in await studio.told(InvoiceIssued)] == [24000, 5500]
    await studio.whole()


async def test_a_close_that_overtakes_its_sale_waits_for_it(studio: Studio) -> None:
    sale = studio.sale(**POST_BILL)
    await studio.hear(closure(sale, ["attended"]), sale)
    assert await studio.told(ClosureBilled) == []
    assert await waiting(studio) == ["Later"]
    await try_again(studio)
    assert len(await studio.told(ClosureBilled)) == 1
    await studio.whole()


async def waiting(studio: Studio) -> list[str]:
    """Why events were set aside."""
    async with studio.billing.inside(studio.business_id) as db:
        rows = await db.scalars(
            text("select split_part(error, ':', 1) from inbox_failed where business_id = :id"),
            {"id": studio.business_id},
        )
        return list(rows)


async def try_again(studio: Studio) -> None:
    async with studio.billing.running.database.transaction() as db:
        await db.execute(
            text("update inbox_failed set next_attempt_at = now() where business_id = :id"), {"id": studio.business_id}
        )
    for _ in range(100):
        if not await studio.billing.consumer.retry_due() and not await waiting(studio):
            return
        await asyncio.sleep(0.02)


# Debits


async def test_a_debit_in_flight_reads_paid_uncleared_then_paid_then_final(studio: Studio) -> None:
    issued = await studio.owed(**FORTNIGHTLY)
    part, debit_id = issued.instalments[0].instalment_id, new_id()
    reads = []
    for event in (
        debit(DebitSubmitted, debit_id, 1, part, in_flight=30000),
        debit(DebitSettled, debit_id, 2, part, collected=30000),
        debit(DebitSettled, debit_id, 3, part, collected=30000, final=True),
    ):
        await studio.hear(event)
        shown = await studio.read(f"invoices/{issued.invoice_id}")
        reads.append((shown["label"], shown["open_minor"], shown["in_flight_minor"], shown["instalments"][0]["state"]))
        await studio.whole()
    assert reads == [
        ("paid_uncleared", 30000, 30000, "due"),
        ("paid", 0, 0, "paid"),
        ("paid_final", 0, 0, "paid"),
    ]
    assert [(fact["state"], fact["final"]) for fact in shown["payments"]] == [
        ("submitted", False),
        ("settled", False),
        ("settled", True),
    ]
    entries = (await studio.read("journal"))["items"]
    assert [{side["account"]: side["amount_minor"] for side in entry["postings"]} for entry in entries] == [
        {"receivable": 30000, "sales": -30000},
        {"cash": 30000, "receivable": -30000},
    ]


@pytest.mark.parametrize("order", list(permutations(range(4))))
async def test_a_decline_and_its_next_debit_end_the_same_in_any_order(studio: Studio, order: tuple[int, ...]) -> None:
    issued = await studio.owed(**FORTNIGHTLY)
    part, first, second = issued.instalments[0].instalment_id, new_id(), new_id()
    told = [
        debit(DebitSubmitted, first, 1, part, in_flight=30000),
        debit(DebitDeclined, first, 2, part),
        debit(DebitSubmitted, second, 1, part, in_flight=30000, attempt_no=2),
        debit(DebitSettled, second, 2, part, collected=30000, attempt_no=2),
    ]
    for position in order:
        await studio.hear(told[position], told[order[0]])
    shown = await studio.read(f"invoices/{issued.invoice_id}")
    assert (shown["label"], shown["open_minor"], shown["in_flight_minor"]) == ("paid", 0, 0)
    assert [fact["state"] for fact in shown["payments"]] == ["submitted", "declined", "submitted", "settled"]
    assert len(await studio.told(CollectionFailed)) == (order.index(1) < order.index(3))
    await studio.whole()


@pytest.mark.parametrize("declined_first", [True, False])
async def test_a_decline_is_told_once(studio: Studio, declined_first: bool) -> None:
    issued = await studio.owed(**FORTNIGHTLY)
    part, debit_id = issued.instalments[0].instalment_id, new_id()
    told = [
        debit(DebitSubmitted, debit_id, 1, part, in_flight=30000),
        debit(DebitDeclined, debit_id, 2, part),
    ]
    await studio.hear(*(reversed(told) if declined_first else told))
    await asyncio.gather(*(studio.hear(event) for event in told * 3))
    (failed,) = await studio.told(CollectionFailed)
    assert (failed.invoice_number, failed.amount_minor, failed.attempt_no, failed.final) == (1, 30000, 1, True)
    shown = await studio.read(f"invoices/{issued.invoice_id}")
    assert (shown["label"], shown["open_minor"], shown["in_flight_minor"]) == ("due", 30000, 0)
    await studio.whole()


async def test_one_debit_pays_the_instalments_of_several_invoices(studio: Studio) -> None:
    parts = [(await studio.owed(**FORTNIGHTLY)).instalments[0].instalment_id for _ in range(3)]
    await studio.hear(debit(DebitSettled, new_id(), 2, *parts, collected=30000))
    assert [invoice["label"] for invoice in (await studio.read("invoices"))["items"]] == ["paid"] * 3
    await studio.whole()


async def test_a_debit_of_what_was_never_owed_waits_for_a_person(studio: Studio, billing: Room) -> None:
    issued = await studio.owed(**FORTNIGHTLY)
    part = issued.instalments[0].instalment_id
    await studio.hear(debit(DebitSettled, new_id(), 1, part, new_id(), collected=30000))
    await studio.hear(debit(DebitSettled, new_id(), 1, part, collected=30000, currency="EUR"))
    assert await waiting(studio) == ["Reject", "Reject"]
    other = Studio(billing, await billing.business(), new_id(), new_id())
    await other.hear(debit(DebitSettled, new_id(), 1, part, collected=30000))
    assert await waiting(other) == ["Reject"]
    assert (await studio.read(f"invoices/{issued.invoice_id}"))["open_minor"] == 30000


# Who sees what


async def test_clients_see_what_they_pay_and_what_is_for_them(studio: Studio) -> None:
    issued = await studio.owed(**FORTNIGHTLY)
    await studio.owed()
    paths = (f"invoices/{issued.invoice_id}", f"packages/{issued.package_id}/billing")
    for reader, status, count in ((studio.client_id, 200, 2), (studio.payer_id, 200, 2), (new_id(), 404, 0)):
        async with studio.billing.http(studio.billing.issuer.client(studio.business_id, reader)) as http:
            assert [(await http.get(path)).status_code for path in paths] == [status] * 2
            assert len((await http.get("invoices")).json()["items"]) == count
            assert (await http.get("journal")).status_code == 403


async def test_another_business_sees_nothing(studio: Studio) -> None:
    issued = await studio.owed(**FORTNIGHTLY)
    other = studio.billing.issuer.staff(await studio.billing.business())
    async with studio.billing.http(other) as http:
        assert (await http.get(f"invoices/{issued.invoice_id}")).status_code == 404
        assert (await http.get(f"packages/{issued.package_id}/billing")).status_code == 404
        assert (await http.get("invoices")).json()["items"] == []
        assert (await http.get("journal")).json()["items"] == []


async def test_staff_need_the_permission(studio: Studio) -> None:
    token = studio.billing.issuer.staff(studio.business_id, permissions=["booking.manage"])
    async with studio.billing.http(token) as http:
        for path in ("invoices", f"invoices/{new_id()}", f"packages/{new_id()}/billing", "journal"):
            assert (await http.get(path)).status_code == 403


async def test_invoices_come_in_pages_by_package_and_by_client(studio: Studio) -> None:
    sold = [(await studio.owed()).package_id for _ in range(3)]
    first = await studio.read("invoices", limit=2)
    rest = await studio.read("invoices", limit=2, cursor=first["next_cursor"])
    assert [invoice["number"] for invoice in first["items"] + rest["items"]] == [1, 2, 3]
    assert rest["next_cursor"] is None
    (found,) = (await studio.read("invoices", package_id=sold[1], client_id=studio.client_id))["items"]
    assert found["number"] == 2
    assert (await studio.read("invoices", client_id=new_id()))["items"] == []


# What the database keeps true

POST = text(
    "insert into postings (business_id, entry_id, account, amount_minor, currency)"
    " select business_id, entry_id, 'cash', 1, 'AUD' from journal_entries limit 1"
)


async def test_an_entry_that_does_not_balance_is_refused_at_the_commit(studio: Studio, billing: Room) -> None:
    await studio.owed()
    with pytest.raises(IntegrityError, match="does not balance"):
        async with billing.inside(studio.business_id) as db:
            await db.execute(POST)
    other = await billing.business()
    with pytest.raises(IntegrityError, match="does not balance"):
        async with billing.inside(studio.business_id) as db:
            await db.execute(POST)
            await db.execute(text("select set_config('punchcard.business', :id, true)"), {"id": str(other)})
    await studio.whole()


@pytest.mark.parametrize(
    "change",
    [
        "update postings set amount_minor = amount_minor * 2",
        "delete from postings",
        "update journal_entries set entry_date = entry_date + 1",
        "delete from journal_entries",
    ],
)
async def test_the_journal_is_never_changed(studio: Studio, billing: Room, change: str) -> None:
    await studio.owed()
    with pytest.raises(DBAPIError, match="append-only"):
        async with billing.inside(studio.business_id) as db:
            await db.execute(text(change))


DAMAGE = {
    "an invoice is not the sum of its lines": ["update invoice_lines set amount_minor = amount_minor + 1"],
    "an invoice is not the sum of its instalments, void ones included": [
        "update instalments set amount_minor = amount_minor + 1"
    ],
    "an entry does not balance": [
        "alter table postings disable trigger user",
        "update postings set amount_minor = amount_minor + 1 where account = 'sales'",
    ],
    "what is receivable of an invoice is not what was issued less what was collected": [
        "update debit_facts set collected_minor = collected_minor - 1"
    ],
    "the invoice numbers do not run from 1 without a gap": ["update invoices set number = number + 10"],
    "a period of a package is billed twice": [
        "alter table invoices drop constraint uq_invoices_package_id_period_index",
        "update invoices set package_id = (select package_id from invoices where number = 1) where number = 2",
    ],
    "a closure that is owed for has not exactly one invoice": [
        "update invoices set closure_id = null, period_index = 9 where closure_id is not null"
    ],
    "an instalment is paid and open, or covered and not paid": ["update instalments set state = 'due'"],
    "more is in flight than is open": ["update debit_facts set in_flight_minor = 1"],
}


@pytest.mark.parametrize("name", INVARIANTS)
async def test_an_invariant_turns_red(studio: Studio, billing: Room, name: str) -> None:
    sale = studio.sale(**POST_BILL)
    issued = await studio.owed()
    await studio.owed()
    paid = debit(DebitSettled, new_id(), 2, issued.instalments[0].instalment_id, collected=50000)
    await studio.hear(sale, closure(sale, ["attended"]), paid)
    await studio.whole()
    async with billing.inside(studio.business_id) as db:
        for statement in DAMAGE[name]:
            await db.execute(text(statement))
        assert (await db.execute(text(INVARIANTS[name]))).all()
        await db.rollback()
