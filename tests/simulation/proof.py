"""What must hold when all is at rest: every invariant, the audit between services and bank, and every answer given."""

from collections import Counter
from typing import Any

from deploy.local.running.observer import Observer
from tests.simulation.shop import Shop


async def wrong(shop: Shop, observer: Observer) -> dict[str, Any]:
    """All that is not as it must be."""
    found: dict[str, Any] = await observer.unrest(shop.business_id)
    if lines := await observer.violations(shop.business_id):
        found["invariants and the audit"] = lines
    if twice := debited_twice(shop):
        found["debited twice"] = twice
    said = {name: difference for name, difference in (await answers(shop)).items() if difference}
    return found | said


def debited_twice(shop: Shop) -> list[str]:
    """The debits of which the bank made more than one payment; it never does by itself."""
    made = Counter(payment.metadata["debit_id"] for payment in shop.world.bank.payments)
    return [debit_id for debit_id, payments in made.items() if payments > 1]


async def answers(shop: Shop) -> dict[str, Any]:
    """Where what people were answered is not there, or not once, or something is there that nobody was answered."""
    packages = {each["package_id"]: each for each in await shop.all("packages/packages")}
    bookings = {each["booking_id"]: each for each in await shop.all("booking/bookings")}
    runs = {each["run_id"] for each in await shop.all("directdebit/runs")}
    return {
        "runs": set(shop.runs) - runs,
        "packages": set(packages) ^ set(shop.packages),
        "bookings": set(bookings) ^ set(shop.bookings),
        "asked twice": len(shop.packages) + len(shop.bookings) - len(packages) - len(bookings),
        "packages that are not closed": [each for each in shop.closed if packages[each]["state"] != "closed"],
        "auto-pay": [each for each, auto_pay in shop.auto_pay.items() if packages[each]["auto_pay"] != auto_pay],
        "bookings that wait for ever": [name for name, each in bookings.items() if each["state"] == "holding"],
        "bookings that are not called off": [
            each for each in shop.called_off if bookings[each]["state"] not in ("cancelled", "late_cancelled")
        ],
        "attendance": [
            each
            for each, attended in shop.attended.items()
            if bookings[each]["state"] != ("attended" if attended else "no_show")
        ],
        "adjustments": [each for each in shop.packages if await _adjusted(shop, each) != Counter(shop.adjusted[each])],
        "payments": [each for each, paid in shop.paid.items() if await _paid(shop, each) != paid],
    }


async def _adjusted(shop: Shop, package_id: str) -> Counter[int]:
    history = await shop.all(f"packages/packages/{package_id}/history")
    return Counter(entry["sessions"] for entry in history if entry["kind"] == "adjusted")


async def _paid(shop: Shop, invoice_id: str) -> Counter[int]:
    invoice = await shop.see(f"billing/invoices/{invoice_id}")
    return Counter(payment["amount_minor"] for payment in invoice["payments"])
