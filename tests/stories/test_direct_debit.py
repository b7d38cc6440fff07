"""Direct debit as a business lives it: registering, reviewing, being declined, getting money back to the bank."""

from datetime import date, time
from typing import Any

import pytest

from tests.harness.studio import FRIDAY, Studio, days
from tests.stories.test_instalments import DATES, FIVE_PARTS
from tests.stories.test_selling import PAID_IN_FULL

TUESDAY = date(2022, 9, 13)
SECOND = date(2022, 9, 27)


async def parts(studio: Studio, package_id: str) -> list[str]:
    """How each part of the package's first invoice reads."""
    invoice, *_ = await studio.invoices(package_id)
    return [part["label"] for part in invoice["instalments"]]


async def in_parts(studio: Studio, client_id: str | None = None) -> str:
    template_id = await studio.template(**FIVE_PARTS)
    return await studio.sell(template_id, client_id, auto_pay=True, first_due_date=str(TUESDAY))


@pytest.mark.behaviour("CC-20", "CC-21", "CC-36")
async def test_a_client_is_registered_from_inside_and_debited_when_something_falls_due(studio: Studio) -> None:
    package_id = await in_parts(studio)
    account = {"account_holder": "Ana Reyes", "branch_code": "062-000", "account_number": "123456789"}
    mandate = await studio.owner.make(
        "POST", "/directdebit/v1/mandates/register", {"payer_id": studio.ana} | account, expect=201
    )
    assert (mandate["state"], mandate["account_ending"]) == ("active", "89")
    await studio.behave(mandate["provider_mandate"], "collects")
    seen = []
    for day in (TUESDAY, TUESDAY + days(2), TUESDAY + days(7)):
        await studio.clock(day)
        seen.append((await parts(studio, package_id))[0])
    assert seen == ["paid_uncleared", "paid", "paid_final"], "the account is right at every moment"
    assert [payment["amount"] for payment in await studio.payments(mandate["provider_mandate"])] == [22000]


@pytest.mark.behaviour("CC-31", "CC-33", "CC-25")
async def test_reviewed_nothing_is_debited_until_somebody_confirms_process_billing(studio: Studio) -> None:
    bo = await studio.client("Bo")
    mandates = [await studio.mandate("settle", client_id) for client_id in (None, bo)]
    packages = [await in_parts(studio, client_id) for client_id in (None, bo)]
    await studio.owner.make("PUT", "/directdebit/v1/provider/processing", {"process_billing": "reviewed"})
    await studio.clock(TUESDAY)
    await studio.clock(TUESDAY + days(1))
    assert [await studio.payments(mandate) for mandate in mandates] == [[], []]
    run = await studio.owner.make("POST", "/directdebit/v1/runs")
    assert run["results"] == [{"state": "created", "debits": 2, "amount_minor": 44000}], "all that is due, and no more"
    assert [await studio.payments(mandate) for mandate in mandates] == [[], []]
    assert [(await parts(studio, package_id))[0] for package_id in packages] == ["overdue", "overdue"]
    await studio.owner.make("POST", f"/directdebit/v1/runs/{run['run_id']}/confirm")
    assert [(await parts(studio, package_id))[0] for package_id in packages] == ["paid", "paid"]
    assert [len(await studio.payments(mandate)) for mandate in mandates] == [1, 1]
    shown = await studio.owner.make("GET", f"/directdebit/v1/runs/{run['run_id']}")
    assert shown["results"] == [{"state": "settled", "debits": 2, "amount_minor": 44000}]


@pytest.mark.behaviour("EZ-11")
async def test_only_what_pays_by_itself_is_debited_and_that_may_change(studio: Studio) -> None:
    """R-40."""
    mandate = await studio.mandate("settle")
    template_id = await studio.template(**FIVE_PARTS)
    sold = [
        await studio.sell(template_id, auto_pay=auto_pay, first_due_date=str(TUESDAY)) for auto_pay in (True, False)
    ]
    await studio.clock(TUESDAY)
    assert [(await parts(studio, package_id))[0] for package_id in sold] == ["paid", "due"]
    for package_id, auto_pay in zip(sold, (False, True), strict=True):
        await studio.owner.make("POST", f"/packages/v1/packages/{package_id}/auto-pay", {"auto_pay": auto_pay})
    await studio.clock(SECOND)
    assert [(await parts(studio, package_id))[:2] for package_id in sold] == [
        ["paid_final", "due"],
        ["paid", "paid"],
    ]
    assert [payment["amount"] for payment in await studio.payments(mandate)] == [22000, 44000], "one debit a day"


@pytest.mark.behaviour("CC-02")
@pytest.mark.timeout(120)
async def test_v06_all_is_used_with_nothing_paid_and_each_overdue_part_is_reminded_of(studio: Studio) -> None:
    template_id = await studio.template(**FIVE_PARTS)
    package_id = await studio.sell(template_id, first_due_date=str(TUESDAY))
    for on in (FRIDAY + days(1), FRIDAY + days(2)):
        booked = [await studio.book(package_id, on, hour) for hour in range(8, 18)]
        await studio.clock(on, time(23))
        for booking_id in booked:
            await studio.attend(booking_id)
    assert await studio.balance(package_id) == (0, 0, 20), "no booking was refused"
    for due in DATES:
        await studio.clock(date.fromisoformat(due) + days(3))
    assert await parts(studio, package_id) == ["overdue"] * 5
    await studio.live(date(2022, 11, 13))
    reminders = [subject for subject in await studio.mails("ana@clients.example") if "overdue" in subject.lower()]
    assert len(reminders) == 5, reminders


@pytest.mark.behaviour("CC-02", "CC-24", "CC-25", "CC-36")
async def test_v17_money_that_is_returned_after_it_was_paid_is_debited_again(studio: Studio) -> None:
    mandate = await studio.mandate("manual")
    package_id = await in_parts(studio)
    await studio.use(package_id, FRIDAY + days(1))
    await studio.clock(TUESDAY)
    (first,) = await studio.payments(mandate)
    await studio.at_the_bank(first["id"], "settle")
    await studio.clock(SECOND)
    _, second = await studio.payments(mandate)
    await studio.at_the_bank(second["id"], "settle")
    assert (await parts(studio, package_id))[1] == "paid"

    await studio.live(date(2022, 9, 30))
    await studio.at_the_bank(second["id"], "late_failure", reason_code="6")
    await studio.live(date(2022, 10, 4))
    assert (await parts(studio, package_id))[1] == "overdue"
    assert len(await studio.payments(mandate)) == 2
    await studio.live(date(2022, 10, 5))
    assert (await parts(studio, package_id))[1] == "paid_uncleared"
    *_, third = await studio.payments(mandate)
    await studio.at_the_bank(third["id"], "settle")
    assert (await parts(studio, package_id))[1] == "paid"
    assert await studio.balance(package_id) == (19, 0, 1), "sessions do not care"

    moves = await cash(studio, package_id)
    assert moves == [("2022-09-13", 22000), ("2022-09-27", 22000), ("2022-09-30", -22000), ("2022-10-05", 22000)]
    told = [subject for subject in await studio.mails("ana@clients.example") if "Invoice 1:" in subject]
    assert told == ["Invoice 1: AUD 1,100.00", "Invoice 1: payment returned"]


async def cash(studio: Studio, package_id: str) -> list[tuple[str, int]]:
    """What the journal has as cash for the package's first invoice, by date."""
    invoice, *_ = await studio.invoices(package_id)
    entries: list[dict[str, Any]] = (await studio.owner.make("GET", "/billing/v1/journal?limit=200"))["items"]
    return sorted(
        (entry["entry_date"], posting["amount_minor"])
        for entry in entries
        for posting in entry["postings"]
        if entry["invoice_id"] == invoice["invoice_id"] and posting["account"] == "cash"
    )


async def test_what_falls_due_together_is_one_debit_and_one_decline_opens_all_of_it(studio: Studio) -> None:
    """Case 49 of the acceptance list: an instalment and something else, in one debit."""
    mandate = await studio.mandate("manual")
    first = await in_parts(studio)
    second = await studio.sell(
        await studio.template(**PAID_IN_FULL | {"price_minor": 4500}), auto_pay=True, first_due_date=str(TUESDAY)
    )
    await studio.clock(TUESDAY)
    (payment,) = await studio.payments(mandate)
    assert payment["amount"] == 26500
    await studio.at_the_bank(payment["id"], "decline")
    assert [(await parts(studio, package_id))[0] for package_id in (first, second)] == ["due", "due"]
    told = [subject for subject in await studio.mails("ana@clients.example") if "declined" in subject]
    assert sorted(told) == ["Invoice 1: payment declined", "Invoice 2: payment declined"], "a letter for each invoice"
    await studio.clock(date(2022, 9, 16))
    *_, again = await studio.payments(mandate)
    assert again["amount"] == 26500
    await studio.at_the_bank(again["id"], "settle")
    assert [(await parts(studio, package_id))[0] for package_id in (first, second)] == ["paid", "paid"]
