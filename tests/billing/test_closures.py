"""What billing makes of a close, on PostgreSQL."""

import asyncio

import pytest

from shared.events.billing import ClosureBilled, InvoiceIssued
from tests.billing.desk import Studio, closure, try_again, waiting
from tests.harness.terms import POST_BILL

pytestmark = pytest.mark.servers


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
