"""`kill -9` at every step of collecting, and of a decline that comes back: each payer is debited once.

The case numbers are those of the acceptance list "never debit twice".
"""

from typing import Any

import pytest

from tests.faults.conftest import EMBEDDED, Doomed, dies, free_what_the_dead_held, on_rabbitmq
from tests.harness.studio import FRIDAY, Studio, days
from tests.stories.test_selling import PAID_IN_FULL

pytestmark = [pytest.mark.servers, pytest.mark.timeout(180)]

TUESDAY = FRIDAY + days(4)
DIRECTDEBIT, BILLING = on_rabbitmq("directdebit"), on_rabbitmq("billing")
PRICES = {"Ana": (50000, 7000), "Ben": (41000,), "Cleo": (33333,)}
"""What each payer owes from Tuesday on; each has a debit of the sum."""
SUMS = {name: sum(prices) for name, prices in PRICES.items()}


class Payers:
    """Three who let themselves be debited, what was sold to them, and their mandates at the bank."""

    def __init__(self, studio: Studio, behaviour: str = "manual") -> None:
        self.studio, self.behaviour = studio, behaviour
        self.mandates: dict[str, str] = {}
        self.packages: dict[str, list[str]] = {}

    async def buy(self) -> None:
        studio = self.studio
        for name, prices in PRICES.items():
            payer_id = studio.ana if name == "Ana" else await studio.client(name)
            await studio.quiet()
            self.mandates[name] = await studio.mandate(self.behaviour, payer_id)
            order: dict[str, Any] = {"client_id": payer_id, "auto_pay": True, "first_due_date": TUESDAY.isoformat()}
            self.packages[name] = [
                await studio.sell(await studio.template(**PAID_IN_FULL | {"price_minor": price}), **order)
                for price in prices
            ]
        await studio.quiet()

    async def at_the_bank(self) -> dict[str, list[dict[str, Any]]]:
        """The payments of each payer, by the bank's own log."""
        return {name: await self.studio.payments(mandate) for name, mandate in self.mandates.items()}

    async def invoices(self) -> dict[str, list[tuple[str, int, int]]]:
        """How the invoices of each payer read: label, open and in flight."""
        return {
            name: [
                (invoice["label"], invoice["open_minor"], invoice["in_flight_minor"])
                for package_id in packages
                for invoice in await self.studio.invoices(package_id)
            ]
            for name, packages in self.packages.items()
        }


async def debited_though_killed(house: Doomed, studio: Studio, failpoint: str) -> None:
    """Tuesday comes and the victim dies; then each payer has been debited once, and every book says so."""
    payers = Payers(studio)
    await payers.buy()
    await house.survive(failpoint, lambda: studio.begin_day(TUESDAY))
    await free_what_the_dead_held(studio, *house.victim)
    await studio.quiet()
    payments = await payers.at_the_bank()
    assert {name: [each["amount"] for each in of_one] for name, of_one in payments.items()} == {
        name: [amount] for name, amount in SUMS.items()
    }
    assert {each["charge_date"] for of_one in payments.values() for each in of_one} == {TUESDAY.isoformat()}
    debits = (await studio.owner.make("GET", "/directdebit/v1/debits"))["items"]
    assert sorted((debit["state"], debit["provider_ref"]) for debit in debits) == sorted(
        ("submitted", each["id"]) for of_one in payments.values() for each in of_one
    )
    assert await payers.invoices() == {
        name: [("paid_uncleared", price, price) for price in prices] for name, prices in PRICES.items()
    }


@dies((DIRECTDEBIT, "submit.written"), at_length=[(EMBEDDED, "submit.written")])
async def test_case_25_killed_between_the_commit_and_the_call_there_is_one_payment(
    house: Doomed, studio: Studio, failpoint: str
) -> None:
    await debited_though_killed(house, studio, failpoint)


@dies(
    (DIRECTDEBIT, "submit.answered"),
    at_length=[(EMBEDDED, "submit.answered", "submit.answered:3"), (DIRECTDEBIT, "submit.answered:3")],
)
async def test_case_26_killed_before_the_answer_is_stored_the_one_payment_is_adopted(
    house: Doomed, studio: Studio, failpoint: str
) -> None:
    await debited_though_killed(house, studio, failpoint)


@dies(
    (DIRECTDEBIT, "run.made", "relay.published"),
    at_length=[
        (EMBEDDED, "run.made", "run.committed"),
        (DIRECTDEBIT, "consumer.before_commit:2", "consumer.after_commit:2"),
    ],
)
async def test_what_is_due_is_debited_once_though_killed_on_the_way(
    house: Doomed, studio: Studio, failpoint: str
) -> None:
    await debited_though_killed(house, studio, failpoint)


@dies((DIRECTDEBIT, "register.answered"))
async def test_a_payer_is_registered_once_though_killed_before_the_answer_is_stored(
    house: Doomed, studio: Studio, failpoint: str
) -> None:
    account = {
        "payer_id": studio.ana,
        "account_holder": "Ana Example",
        "branch_code": "062-000",
        "account_number": "123456789",
    }

    async def register() -> str:
        answer = await studio.owner.insist("/directdebit/v1/mandates/register", account)
        assert answer.status_code in (201, 202), answer.text
        mandate_id: str = answer.json()["mandate_id"]
        return mandate_id

    mandate_id = await house.survive(failpoint, register)
    await free_what_the_dead_held(studio, *house.victim)
    await studio.quiet()
    (mandate,) = (await studio.owner.make("GET", "/directdebit/v1/mandates"))["items"]
    assert (mandate["mandate_id"], mandate["state"]) == (mandate_id, "active")
    assert await mandates_at_the_bank(studio) == [mandate["provider_mandate"]]


async def mandates_at_the_bank(studio: Studio) -> list[str]:
    """The mandates that the bank has told this business it made."""
    told = await studio.observer.bank.get("/practice/callbacks", params={"reference": str(studio.business_id)})
    events = [event for callback in told.raise_for_status().json()["callbacks"] for event in callback["body"]["events"]]
    return [event["links"]["mandate"] for event in events if event["action"] == "created"]


@dies(
    (BILLING, "consumer.after_commit"),
    at_length=[(EMBEDDED, "relay.deleted"), (BILLING, "consumer.before_commit")],
)
async def test_a_decline_that_comes_back_is_told_once_though_killed(
    house: Doomed, studio: Studio, failpoint: str
) -> None:
    payers = Payers(studio)
    await payers.buy()
    await studio.clock(TUESDAY)
    sent = await payers.at_the_bank()
    assert {name: [each["amount"] for each in of_one] for name, of_one in sent.items()} == {
        name: [amount] for name, amount in SUMS.items()
    }

    async def decline() -> None:
        for (payment,) in sent.values():
            path = f"/practice/payments/{payment['id']}/decline"
            (await studio.observer.bank.post(path, json={"cause": "insufficient_funds"})).raise_for_status()

    await house.survive(failpoint, decline)
    await free_what_the_dead_held(studio, *house.victim)
    await studio.quiet()
    assert await payers.invoices() == {name: [("due", price, 0) for price in prices] for name, prices in PRICES.items()}
    assert [len(of_one) for of_one in (await payers.at_the_bank()).values()] == [1, 1, 1]
    told = {name: await declines(studio, f"{name.lower()}@clients.example") for name in PRICES}
    assert told == {name: len(prices) for name, prices in PRICES.items()}, "of each invoice, once"
    assert await declines(studio, "desk@studio.example") == sum(told.values())


async def declines(studio: Studio, recipient: str) -> int:
    """How many mails somebody got that a debit was declined."""
    return len([subject for subject in await studio.mails(recipient) if "declined" in subject.lower()])
