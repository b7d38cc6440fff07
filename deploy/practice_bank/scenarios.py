"""The named scenarios: what becomes of the payments of a mandate, each said in a sentence."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from deploy.practice_bank.days import bank_days_after

Telling = Literal["plainly", "again", "reversed", "late", "badly_signed"]
"""How callbacks about a payment are delivered."""


@dataclass(frozen=True)
class Step:
    """A move of `rules.MOVES`, so many bank days after the step before it; the first counts from the charge date."""

    move: str
    bank_days: int
    cause: str | None = None


@dataclass(frozen=True)
class Scenario:
    """A name that a mandate can be given.

    `at_once` is the move taken on acceptance, `steps` are those of later days. `applies_to` so many payments (in an
    outage: requests); after them the mandate goes on as `collects`. None: it applies until another name is set.
    """

    sentence: str
    steps: tuple[Step, ...] = ()
    at_once: str | None = None
    applies_to: int | None = None
    telling: Telling = "plainly"


COLLECTED = (Step("settle", 2), Step("pay_out", 1))
HELD_BANK_DAYS = 2
OUTAGE_REQUESTS = 2


def _fails(cause: str) -> tuple[Step, ...]:
    return (Step("decline", 2, cause),)


def _taken_back(move: str, cause: str) -> tuple[Step, ...]:
    return (*COLLECTED, Step(move, 2, cause))


SCENARIOS = {
    "manual": Scenario(
        "Nothing happens by itself: each payment is decided by hand (POST /practice/payments/{id}/settle, …)."
    ),
    "settle": Scenario("Each payment is confirmed as soon as it is accepted.", at_once="settle"),
    "decline": Scenario("Each payment fails as soon as it is accepted.", at_once="decline"),
    "collects": Scenario(
        "Each payment is confirmed 2 bank days after its charge date, and paid out on the bank day after that.",
        COLLECTED,
    ),
    "insufficient_funds_then_success": Scenario(
        "The next payment fails 2 bank days after its charge date for want of money; later ones are collected.",
        _fails("insufficient_funds"),
        applies_to=1,
    ),
    "always_insufficient_funds": Scenario(
        "Each payment fails 2 bank days after its charge date for want of money.", _fails("insufficient_funds")
    ),
    "account_closed": Scenario(
        "Each payment fails 2 bank days after its charge date, because the payer's account is closed.",
        _fails("bank_account_closed"),
    ),
    "late_return": Scenario(
        "The next payment is confirmed, and 3 bank days later the payer's bank takes it back for want of money;"
        " later ones are collected.",
        _taken_back("late_failure", "insufficient_funds"),
        applies_to=1,
    ),
    "chargeback": Scenario(
        "The next payment is confirmed, and 3 bank days later the payer disputes it and gets it back;"
        " later ones are collected.",
        _taken_back("charge_back", "authorisation_disputed"),
        applies_to=1,
    ),
    "duplicate": Scenario(
        "Each callback about a payment comes three times, and its events once more in another delivery.",
        COLLECTED,
        telling="again",
    ),
    "out_of_order": Scenario(
        "The callbacks about a payment are held until it is confirmed or fails, and then come last first.",
        COLLECTED,
        telling="reversed",
    ),
    "delayed": Scenario("Each callback about a payment comes 2 bank days late.", COLLECTED, telling="late"),
    "bad_signature": Scenario(
        "Each callback about a payment comes first with a wrong signature, and then with the right one.",
        COLLECTED,
        telling="badly_signed",
    ),
    "outage": Scenario(
        f"The next {OUTAGE_REQUESTS} requests to create a payment are answered 503; then all is well.",
        COLLECTED,
        applies_to=OUTAGE_REQUESTS,
    ),
    "accepted_but_timed_out": Scenario(
        "The next payment is created, but the answer to its creditor breaks off; later ones are answered.",
        COLLECTED,
        applies_to=1,
    ),
}

AFTERWARDS = "collects"
"""What a mandate does when its scenario is used up."""


def planned_days(scenario: str, charge_date: date, currency: str) -> list[tuple[date, Step]]:
    """The later steps of a payment, each with the bank day on which it is taken."""
    day = charge_date
    planned = []
    for step in SCENARIOS[scenario].steps:
        day = bank_days_after(day, step.bank_days, currency)
        planned.append((day, step))
    return planned
