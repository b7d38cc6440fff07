"""Packages paid by instalments: all sessions at once, the money in parts on dates of its own."""

from datetime import date

import pytest

from tests.harness.studio import FRIDAY, Studio, days

FIVE_PARTS = {
    "form": "instalments",
    "session_count": 20,
    "price_minor": 110000,
    "frequency": "fortnightly",
    "instalment_count": 5,
}
DATES = ["2022-09-13", "2022-09-27", "2022-10-11", "2022-10-25", "2022-11-08"]


@pytest.mark.behaviour("CC-08", "CC-09", "CC-10", "CC-11", "CC-12", "CC-32", "EZ-03")
async def test_v02_1100_dollars_in_five_fortnightly_parts(studio: Studio) -> None:
    package_id = await studio.sell(await studio.template(**FIVE_PARTS), first_due_date="2022-09-13")
    assert await studio.balance(package_id) == (20, 0, 0), "all sessions, and nothing is paid"
    (invoice,) = await studio.invoices(package_id)
    assert [(part["due_date"], part["amount_minor"]) for part in invoice["instalments"]] == [
        (due, 22000) for due in DATES
    ]
    assert {date.fromisoformat(due).weekday() for due in DATES} == {1}, "every Tuesday of the provider's run"

    for number, due in enumerate(DATES, start=1):
        await studio.clock(date.fromisoformat(due) - days(1))
        (invoice,) = await studio.invoices(package_id)
        assert [part["state"] for part in invoice["instalments"]].count("due") == number - 1
        await studio.clock(date.fromisoformat(due))
        (invoice,) = await studio.invoices(package_id)
        assert [part["state"] for part in invoice["instalments"]].count("due") == number
    assert (invoice["label"], invoice["open_minor"]) == ("overdue", 110000)
    assert await studio.balance(package_id) == (20, 0, 0), "due dates bring no sessions, and take none"


@pytest.mark.behaviour("CC-02", "CC-08")
async def test_parts_are_paid_at_the_desk_and_sessions_do_not_care(studio: Studio) -> None:
    package_id = await studio.sell(await studio.template(**FIVE_PARTS), first_due_date="2022-09-13")
    for day in (1, 2, 3):
        await studio.use(package_id, FRIDAY + days(day))
    (invoice,) = await studio.invoices(package_id)
    paid = await studio.pay(invoice["invoice_id"], 30000)
    assert [(part["state"], part["open_minor"]) for part in paid["instalments"][:3]] == [
        ("paid", 0),
        ("scheduled", 14000),
        ("scheduled", 22000),
    ]
    await studio.pay(invoice["invoice_id"], 80000, method="card")
    (invoice,) = await studio.invoices(package_id)
    assert (invoice["label"], invoice["open_minor"]) == ("paid_final", 0)
    assert await studio.balance(package_id) == (17, 0, 3)


@pytest.mark.behaviour("CC-21", "CC-25")
async def test_each_part_is_debited_when_it_falls_due(studio: Studio) -> None:
    mandate = await studio.mandate("settle")
    package_id = await studio.sell(await studio.template(**FIVE_PARTS), auto_pay=True, first_due_date="2022-09-13")
    for due in DATES[:2]:
        await studio.clock(date.fromisoformat(due))
    assert [payment["amount"] for payment in await studio.payments(mandate)] == [22000, 22000]
    (invoice,) = await studio.invoices(package_id)
    assert [part["label"] for part in invoice["instalments"]] == ["paid_final", "paid", *["scheduled"] * 3]


async def test_v15_cents_that_do_not_divide_come_with_the_first_parts(studio: Studio) -> None:
    seen = []
    for price, count in ((100000, 3), (1003, 4)):
        terms = FIVE_PARTS | {"price_minor": price, "instalment_count": count}
        (invoice,) = await studio.invoices(await studio.sell(await studio.template(**terms)))
        seen.append([part["amount_minor"] for part in invoice["instalments"]])
    assert seen == [[33334, 33333, 33333], [251, 251, 251, 250]]
