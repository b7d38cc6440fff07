"""Flows 3 and 4: what is due goes to direct debit, and the provider's decline comes back, once."""

import asyncio

import pytest

from deploy.local.running import here
from tests.harness.studio import FRIDAY, Studio, days
from tests.stories.test_post_bill import post_bill


async def used_and_closed(studio: Studio) -> str:
    """A post-bill package with auto-pay: two sessions used, closed on a Sunday; $120.00 is due, and Monday comes."""
    package_id = await post_bill(studio, auto_pay=True)
    for day in (1, 2):
        await studio.use(package_id, FRIDAY + days(day))
    await studio.close_package(package_id)
    await studio.clock(FRIDAY + days(3))
    return package_id


async def test_what_is_due_is_debited_once_and_then_paid(studio: Studio) -> None:
    mandate = await studio.mandate("manual")
    package_id = await used_and_closed(studio)
    (invoice,) = await studio.invoices(package_id)
    assert (invoice["label"], invoice["open_minor"], invoice["in_flight_minor"]) == ("paid_uncleared", 12000, 12000)
    (payment,) = await studio.payments(mandate)
    assert payment["amount"] == 12000
    await studio.at_the_bank(payment["id"], "settle")
    (invoice,) = await studio.invoices(package_id)
    assert (invoice["label"], invoice["open_minor"], invoice["in_flight_minor"]) == ("paid", 0, 0)


async def test_without_a_mandate_what_is_due_waits_and_goes_out_when_one_is_signed(studio: Studio) -> None:
    package_id = await used_and_closed(studio)
    assert (await studio.invoices(package_id))[0]["label"] == "overdue"
    mandate = await studio.mandate("settle")
    await studio.process_billing()
    assert (await studio.invoices(package_id))[0]["label"] == "paid"
    assert len(await studio.payments(mandate)) == 1


async def test_a_decline_reopens_the_instalment_once_and_tells_client_and_staff_once(studio: Studio) -> None:
    mandate = await studio.mandate("manual")
    package_id = await used_and_closed(studio)
    await studio.quiet()
    (payment,) = await studio.payments(mandate)
    await studio.at_the_bank(payment["id"], "decline", cause="insufficient_funds")
    await studio.quiet()

    bank = studio.observer.bank
    log = (await bank.get("/practice/callbacks")).json()["callbacks"]
    of_this = [webhook["id"] for webhook in log if payment["id"] in str(webhook["body"])]
    assert len(of_this) >= 2, "submitted and failed were both called back"
    await asyncio.gather(*(bank.post(f"/practice/callbacks/{webhook}/resend") for webhook in of_this * 3))

    (invoice,) = await studio.invoices(package_id)
    assert (invoice["label"], invoice["open_minor"], invoice["in_flight_minor"]) == ("overdue", 12000, 0)
    for recipient in ("ana@clients.example", "desk@studio.example"):
        subjects = await studio.mails(recipient)
        assert len([subject for subject in subjects if "declined" in subject.lower()]) == 1, subjects
    assert len(await studio.payments(mandate)) == 1
    assert (await studio.package(package_id))["consumed"] == 2, "used sessions stay used"


@pytest.mark.parametrize("signature", ["", "0" * 64, "ü", "é" * 64])
async def test_a_callback_that_is_not_signed_changes_nothing(studio: Studio, signature: str) -> None:
    async with here.async_client(base_url=studio.system.urls["directdebit"]) as stranger:
        answer = await stranger.post(
            f"/directdebit/v1/providers/{studio.business_id}/callbacks",
            content=b'{"events":[{"id":"EV1"}]}',
            headers=[(b"Webhook-Signature", signature.encode())],
        )
    assert answer.status_code == 498
    assert answer.headers["Content-Type"] == "application/problem+json"
