"""V-04 with a decline: one package from its sale to its second payment, day by day, with all that follows.

Over both transports; and over a bus that brings every event twice and in a random order, to the same end.
"""

import asyncio
from collections import Counter
from datetime import date, time
from typing import Any

import pytest

from tests.harness.studio import Studio
from tests.stories.test_recurring import FIRST_DUE, SIX_A_FORTNIGHT

ANA, DESK = "ana@clients.example", "desk@studio.example"


def september(day: int) -> date:
    return date(2022, 9, day)


@pytest.mark.behaviour("CC-02", "CC-21", "CC-24", "CC-25", "CC-36", "EZ-11")
@pytest.mark.timeout(180)
async def test_v04_with_a_decline(studio: Studio) -> None:
    await a_life(studio)


@pytest.mark.timeout(180)
async def test_v04_with_a_decline_over_an_unruly_bus(unruly_studio: Studio) -> None:
    await a_life(unruly_studio)


async def a_life(studio: Studio) -> None:
    """The month of `spine.md`, checked at each of its dates."""
    mandate = await studio.mandate("collects")
    template_id = await studio.template(**SIX_A_FORTNIGHT)
    package_id = await studio.sell(template_id, auto_pay=True, **FIRST_DUE)
    assert await labels(studio, package_id) == {1: "scheduled"}
    assert sorted(await studio.mails(ANA)) == ["Invoice 1: AUD 300.00", "Your package: 3 a week"]

    portal = studio.as_client(studio.ana)
    await studio.live(september(10))
    first = await studio.book(package_id, september(15), by=portal)
    await studio.live(september(12))
    second = await studio.book(package_id, september(22), by=portal)
    assert await studio.balance(package_id) == (4, 2, 0)

    await studio.live(september(13))
    (sent,) = await studio.payments(mandate)
    assert (sent["amount"], sent["charge_date"], sent["status"]) == (30000, "2022-09-13", "submitted")
    assert await labels(studio, package_id) == {1: "paid_uncleared"}

    await studio.live(september(15))
    assert await labels(studio, package_id) == {1: "paid"}
    await studio.clock(september(15), at=time(11))
    await studio.attend(first)
    assert await studio.balance(package_id) == (4, 1, 1)
    await studio.live(september(20))
    await studio.cancel(second, by=portal)
    assert await studio.balance(package_id) == (5, 0, 1)
    assert await labels(studio, package_id) == {1: "paid_final"}, "three bank days after it was settled"

    for day in (23, 24, 26):
        await studio.live(september(day))
        await studio.use(package_id, september(day), hour=14)
    assert await studio.balance(package_id) == (2, 0, 4)
    await studio.behave(mandate, "insufficient_funds_then_success")

    await studio.live(september(27))
    assert await studio.balance(package_id) == (6, 0, 4)
    assert (await studio.package(package_id))["forfeited"] == 2
    assert await labels(studio, package_id) == {1: "paid_final", 2: "paid_uncleared"}

    await studio.live(september(29))
    await doubled_and_out_of_order(studio, mandate)
    assert await labels(studio, package_id) == {1: "paid_final", 2: "overdue"}
    for recipient in (ANA, DESK):
        declined = [subject for subject in await studio.mails(recipient) if "declined" in subject]
        assert len(declined) == 1, declined
    assert await studio.balance(package_id) == (6, 0, 4), "sessions do not care"

    await studio.live(date(2022, 10, 3))
    assert len(await studio.payments(mandate)) == 2
    await studio.live(date(2022, 10, 4))
    assert [payment["status"] for payment in await studio.payments(mandate)] == ["paid_out", "failed", "submitted"]
    assert await labels(studio, package_id) == {1: "paid_final", 2: "paid_uncleared"}
    await studio.live(date(2022, 10, 10))
    assert await labels(studio, package_id) == {1: "paid_final", 2: "paid"}
    await the_end(studio, package_id, mandate)


async def labels(studio: Studio, package_id: str) -> dict[int, str]:
    return {invoice["number"]: invoice["label"] for invoice in await studio.invoices(package_id)}


async def doubled_and_out_of_order(studio: Studio, mandate: str) -> None:
    """All that the bank has said of the mandate's payments it says twice more, at once."""
    about = [payment["id"] for payment in await studio.payments(mandate)]
    told = (await studio.observer.bank.get("/practice/callbacks")).json()["callbacks"]
    ours = [each["id"] for each in told if any(payment in str(each["body"]) for payment in about)]
    again = (studio.observer.bank.post(f"/practice/callbacks/{callback}/resend") for callback in ours * 2)
    assert {answer.status_code for answer in await asyncio.gather(*again)} == {202}


async def the_end(studio: Studio, package_id: str, mandate: str) -> None:
    invoices = await studio.invoices(package_id)
    assert [invoice["total_minor"] for invoice in invoices] == [30000, 30000]
    assert sum(invoice["open_minor"] for invoice in invoices) == 0
    seen: Counter[Any] = Counter(fact["state"] for invoice in invoices for fact in invoice["debits"])
    assert seen == {"submitted": 3, "settled": 3, "declined": 1}, "the first settlement also became final"
    package = await studio.package(package_id)
    counts = {name: package[name] for name in ("purchased", "available", "held", "consumed", "forfeited")}
    assert counts == {"purchased": 12, "available": 6, "held": 0, "consumed": 4, "forfeited": 2}
    payments = await studio.payments(mandate)
    assert sum(payment["amount"] for payment in payments if payment["status"] == "paid_out") == 60000
    assert [payment["status"] for payment in payments] == ["paid_out", "failed", "paid_out"]
