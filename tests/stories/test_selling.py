"""Selling packages: what is allocated, what is invoiced, what may be changed for one client."""

import pytest

from tests.harness.studio import FRIDAY, Studio, days

PAID_IN_FULL = {"form": "paid_in_full", "session_count": 10, "price_minor": 50000}


@pytest.mark.behaviour("CC-04", "CC-05", "CC-06", "CC-07")
async def test_v01_ten_sessions_for_500_paid_in_full(studio: Studio) -> None:
    package_id = await studio.sell(await studio.template(**PAID_IN_FULL))
    package = await studio.package(package_id)
    assert (package["purchased"], package["available"]) == (10, 10)
    assert package["start_date"] == package["first_due_date"] == "2022-09-09"
    (invoice,) = await studio.invoices(package_id)
    assert (invoice["number"], invoice["total_minor"], invoice["currency"]) == (1, 50000, "AUD")
    assert [(i["due_date"], i["amount_minor"]) for i in invoice["instalments"]] == [("2022-09-09", 50000)]


@pytest.mark.behaviour("CC-07")
async def test_start_and_due_date_are_chosen_apart(studio: Studio) -> None:
    dates = {"start_date": "2022-09-12", "first_due_date": "2022-09-20"}
    package_id = await studio.sell(await studio.template(**PAID_IN_FULL), **dates)
    package = await studio.package(package_id)
    (invoice,) = await studio.invoices(package_id)
    assert package["start_date"] == "2022-09-12"
    assert invoice["instalments"][0]["due_date"] == "2022-09-20"


@pytest.mark.behaviour("CC-01")
async def test_three_forms_of_package_are_sold(studio: Studio) -> None:
    instalments = {
        "form": "instalments",
        "session_count": 20,
        "price_minor": 110000,
        "frequency": "fortnightly",
        "instalment_count": 5,
    }
    recurring = {
        "form": "recurring",
        "session_count": 4,
        "price_minor": 30000,
        "frequency": "fortnightly",
        "rollover": "add",
        "term_weeks": 6,
    }
    seen = []
    for terms in (PAID_IN_FULL, instalments, recurring):
        package_id = await studio.sell(await studio.template(**terms), first_due_date="2022-09-13")
        (invoice,) = await studio.invoices(package_id)
        due = [(part["due_date"][5:], part["amount_minor"]) for part in invoice["instalments"]]
        seen.append(((await studio.package(package_id))["available"], due))
    assert seen == [
        (10, [("09-13", 50000)]),
        (20, [("09-13", 22000), ("09-27", 22000), ("10-11", 22000), ("10-25", 22000), ("11-08", 22000)]),
        (4, [("09-13", 30000), ("09-27", 30000), ("10-11", 30000)]),
    ]


@pytest.mark.behaviour("CC-02")
async def test_all_sessions_are_used_with_nothing_paid(studio: Studio) -> None:
    package_id = await studio.sell(await studio.template(**PAID_IN_FULL | {"session_count": 2}))
    for day in (1, 2):
        await studio.use(package_id, FRIDAY + days(day))
    assert await studio.balance(package_id) == (0, 0, 2)
    (invoice,) = await studio.invoices(package_id)
    assert (invoice["open_minor"], invoice["label"]) == (50000, "overdue")


@pytest.mark.behaviour("CC-02")
async def test_everything_is_paid_with_nothing_used(studio: Studio) -> None:
    await studio.mandate("settle")
    package_id = await studio.sell(await studio.template(**PAID_IN_FULL), auto_pay=True)
    await studio.process_billing()
    (invoice,) = await studio.invoices(package_id)
    assert (invoice["open_minor"], invoice["label"]) == (0, "paid")
    assert await studio.balance(package_id) == (10, 0, 0)


@pytest.mark.behaviour("PB-05", "PB-06")
async def test_a_package_inherits_its_template_and_is_changed_for_one_client(studio: Studio) -> None:
    template_id = await studio.template(**PAID_IN_FULL)
    bo = await studio.client("Bo")
    special = await studio.sell(
        template_id, bo, price_minor=45000, session_count=12, expiry_date=str(FRIDAY + days(90))
    )
    usual = await studio.sell(template_id)
    seen = [await studio.package(package_id) for package_id in (special, usual)]
    assert [(p["purchased"], p["price_minor"], p["expiry_date"]) for p in seen] == [
        (12, 45000, "2022-12-08"),
        (10, 50000, None),
    ]
    assert [(await studio.invoices(p))[0]["total_minor"] for p in (special, usual)] == [45000, 50000]


@pytest.mark.behaviour("PB-12")
async def test_sessions_are_added_to_a_package_that_was_sold(studio: Studio) -> None:
    package_id = await studio.sell(await studio.template(**PAID_IN_FULL))
    change = {"sessions": 2, "reason": "two on the house"}
    await studio.owner.make("POST", f"/packages/v1/packages/{package_id}/adjustments", change)
    assert await studio.balance(package_id) == (12, 0, 0)
    history = await studio.owner.make("GET", f"/packages/v1/packages/{package_id}/history")
    assert [(e["kind"], e["sessions"], e["actor"]) for e in history["items"]] == [
        ("allocated", 10, "staff:owner"),
        ("adjusted", 2, "staff:owner"),
    ]


@pytest.mark.behaviour("EZ-02")
async def test_a_package_is_pre_billed_or_post_billed_and_nothing_else(studio: Studio) -> None:
    both = {"name": "Both", "service_ids": [studio.training], "billing_mode": "both"} | PAID_IN_FULL
    problem = await studio.owner.make("POST", "/catalog/v1/templates", both, expect=422)
    assert [error["field"] for error in problem["errors"]] == ["billing_mode"]
    pre = await studio.sell(await studio.template(**PAID_IN_FULL))
    post = await studio.sell(
        await studio.template(billing_mode="post_bill", tiers=[{"at_least": 1, "rate_minor": 6000}])
    )
    assert [(await studio.package(p))["billing_mode"] for p in (pre, post)] == ["pre_bill", "post_bill"]
