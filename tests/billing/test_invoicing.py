"""What is invoiced, and when it falls due; by the vectors of the design, and by properties."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.rules import invoicing
from services.billing.tables.invoices import Instalment
from services.billing.tables.packages import BilledPackage, PackageEnded
from shared.events.catalog import Tier
from shared.events.packages import PackageClosed, UsedSession
from shared.ids import new_id
from shared.schedule import Frequency, due_date
from tests.harness.terms import FIRST_DUE, POST_BILL, SALE, sold


def bill(first_due: date = FIRST_DUE, **changes: Any) -> invoicing.Bill:
    made = invoicing.bill_sale(sold(new_id(), first_due=first_due, **changes))
    assert made
    return made


def days(*dates: tuple[int, int]) -> list[date]:
    return [date(2022, month, day) for day, month in dates]


# When, and how much


@given(total=st.integers(0, 10**12), parts=st.integers(1, 500))
def test_a_split_sums_to_the_total_and_its_larger_parts_come_first(total: int, parts: int) -> None:
    """R-02."""
    made = invoicing.split(total, parts)
    assert sum(made) == total
    assert len(made) == parts
    assert made == sorted(made, reverse=True)
    assert made[0] - made[-1] in (0, 1)


@pytest.mark.parametrize(
    ("total", "parts"), [(110000, [22000] * 5), (100000, [33334, 33333, 33333]), (1003, [251, 251, 251, 250])]
)
def test_a_total_is_split_as_written(total: int, parts: list[int]) -> None:
    """V-02, V-15."""
    assert invoicing.split(total, len(parts)) == parts


# What a sale owes


def test_a_package_paid_in_full_owes_its_price_once() -> None:
    """V-01."""
    made = bill(SALE)
    assert made.dated == [(SALE, 50000)]
    assert [(line.description, line.amount_minor) for line in made.lines] == [("10 sessions", 50000)]


def test_instalments_follow_fortnightly_from_the_first_due_date() -> None:
    """V-02."""
    made = bill(form="instalments", price_minor=110000, instalment_count=5, frequency="fortnightly")
    assert [day for day, _ in made.dated] == days((13, 9), (27, 9), (11, 10), (25, 10), (8, 11))
    assert [amount for _, amount in made.dated] == [22000] * 5
    assert made.total_minor == 110000


def test_an_open_ended_package_owes_its_first_period() -> None:
    """V-04."""
    made = bill(form="recurring", price_minor=30000, frequency="fortnightly", term_weeks=0)
    assert made.dated == [(FIRST_DUE, 30000)]


def test_a_fixed_term_owes_every_period_by_one_invoice() -> None:
    """V-03."""
    made = bill(date(2022, 9, 16), form="recurring", price_minor=30000, frequency="fortnightly", term_weeks=10)
    assert [day for day, _ in made.dated] == days((16, 9), (30, 9), (14, 10), (28, 10), (11, 11))
    assert made.total_minor == 150000
    assert len(made.lines) == 1


def test_a_post_billed_sale_owes_nothing() -> None:
    assert invoicing.bill_sale(sold(new_id(), **POST_BILL)) is None


def test_nothing_is_invoiced_for_a_package_that_costs_nothing() -> None:
    assert invoicing.bill_sale(sold(new_id(), price_minor=0)) is None


def test_no_instalment_asks_for_nothing() -> None:
    made = bill(form="instalments", price_minor=2, instalment_count=5, frequency="weekly")
    assert [amount for _, amount in made.dated] == [1, 1]


@pytest.mark.parametrize(
    "lack",
    [
        {"price_minor": None},
        {"form": "instalments", "instalment_count": 5},
        {"form": "instalments", "frequency": "weekly"},
        {"form": None, "frequency": "weekly"},
    ],
)
def test_terms_that_lack_something_cannot_be_billed(lack: dict[str, Any]) -> None:
    with pytest.raises(invoicing.NotBillable):
        invoicing.bill_sale(sold(new_id(), **lack))


# What a closure owes

TIERS = [Tier(at_least=1, rate_minor=6000), Tier(at_least=5, rate_minor=5500)]


def package(**changes: Any) -> BilledPackage:
    fields = {"package_id": new_id(), "name": "Pay as you go", "post_bill": True, "auto_pay": True, "currency": "AUD"}
    return BilledPackage(**fields | {"client_id": new_id(), "payer_id": new_id()} | changes)


def closed(outcomes: Sequence[str], counted_before: int = 0, tiers: list[Tier] = TIERS) -> PackageClosed:
    return PackageClosed(
        package_id=new_id(),
        closure_id=new_id(),
        counted_before=counted_before,
        sessions=[
            UsedSession.model_validate(
                {
                    "booking_id": new_id(),
                    "service_id": new_id(),
                    "session_date": SALE - timedelta(days=position),
                    "outcome": outcome,
                }
            )
            for position, outcome in enumerate(outcomes)
        ],
        tiers=tiers,
        currency="AUD",
    )


def test_a_closure_owes_a_line_per_session_at_the_rate_of_all_of_them() -> None:
    """V-08, R-28."""
    made = invoicing.bill_closure(package(), closed([*["attended"] * 4, "no_show", "late_cancelled"]), today=SALE)
    assert made
    assert [line.amount_minor for line in made.lines] == [5500] * 6
    assert made.dated == [(SALE, 33000)]
    assert made.lines[0].description == "Pay as you go: 2022-09-04, late cancelled"
    assert made.lines[-1].description == "Pay as you go: 2022-09-09, attended"


def test_a_later_closure_is_rated_by_the_running_total() -> None:
    """R-31."""
    few = invoicing.bill_closure(package(), closed(["attended"]), today=SALE)
    after_four = invoicing.bill_closure(package(), closed(["attended"], counted_before=4), today=SALE)
    assert few and after_four
    assert (few.total_minor, after_four.total_minor) == (6000, 5500)


def test_nothing_used_is_nothing_owed() -> None:
    assert invoicing.bill_closure(package(), closed([]), today=SALE) is None


def test_closing_a_pre_billed_package_owes_nothing() -> None:
    assert invoicing.bill_closure(package(post_bill=False), closed(["attended"], tiers=[]), today=SALE) is None


def test_no_rate_is_guessed() -> None:
    with pytest.raises(invoicing.NoRate):
        invoicing.rate([Tier(at_least=3, rate_minor=6000)], 2)


# What falls due


def recurring(**changes: Any) -> BilledPackage:
    fields: dict[str, Any] = {"form": "recurring", "frequency": "fortnightly", "term_weeks": 0, "price_minor": 30000}
    fields |= {"first_due_date": FIRST_DUE, "next_index": 2, "next_due_date": FIRST_DUE + timedelta(days=14)}
    return package(**fields | {"post_bill": False} | changes)


def test_an_open_ended_package_has_an_invoice_for_each_period() -> None:
    """V-04."""
    opened, owed, following = invoicing.open_period(recurring())
    assert (opened.period_index, opened.due_date) == (2, date(2022, 9, 27))
    assert owed and owed.dated == [(date(2022, 9, 27), 30000)]
    assert following == date(2022, 10, 11)


def test_a_fixed_term_has_its_invoice_already_and_ends() -> None:
    """V-03."""
    second_of_two = recurring(term_weeks=4)
    opened, owed, following = invoicing.open_period(second_of_two)
    assert (opened.period_index, owed, following) == (2, None, None)
    assert invoicing.next_due(recurring(term_weeks=2), 2) is None


@pytest.mark.parametrize("form", ["paid_in_full", "instalments", None])
def test_no_other_form_has_periods(form: Any) -> None:
    package = recurring(form=form, next_due_date=None)
    assert invoicing.next_due(package, 2) is None
    with pytest.raises(invoicing.NotBillable):
        invoicing.open_period(package)


@given(
    frequency=st.sampled_from(["weekly", "fortnightly", "monthly"]),
    ended=st.dates(FIRST_DUE, FIRST_DUE + timedelta(days=400)),
    index=st.integers(2, 12),
)
def test_an_ended_package_opens_no_period_after_that_day(frequency: Frequency, ended: date, index: int) -> None:
    due = due_date(FIRST_DUE, frequency, index)
    row = recurring(frequency=frequency, next_due_date=due)
    row.apply(PackageEnded(ended))
    assert (row.next_due_date is not None) == (due <= ended) == (invoicing.next_due(row, index) is not None)


# What is collected


def part(**changes: Any) -> Instalment:
    fields = {"instalment_id": new_id(), "amount_minor": 300, "paid_minor": 0, "state": "due", "due_date": SALE}
    return Instalment(**fields | {"collection_version": 0} | changes)


@pytest.mark.parametrize(
    ("changes", "auto_pay", "asked"),
    [
        ({}, True, (1, 300)),
        ({}, False, None),
        ({"state": "scheduled"}, True, None),
        ({"paid_minor": 100}, True, (1, 200)),
        ({"collection_version": 1, "target_minor": 300}, True, None),
        ({"collection_version": 1, "target_minor": 300, "paid_minor": 100}, True, (2, 200)),
        ({"collection_version": 1, "target_minor": 300, "paid_minor": 300, "state": "paid"}, True, (2, 0)),
        ({"collection_version": 2, "target_minor": 300, "state": "void"}, True, (3, 0)),
        ({"collection_version": 1, "target_minor": 300}, False, (2, 0)),
        ({"collection_version": 2, "target_minor": 0}, False, None),
        ({"collection_version": 2, "target_minor": 0, "paid_minor": 100}, False, None),
        ({"collection_version": 2, "target_minor": 0}, True, (3, 300)),
    ],
)
def test_what_is_due_is_asked_for_and_again_when_it_changes(
    changes: dict[str, Any], auto_pay: bool, asked: tuple[int, int] | None
) -> None:
    fact = invoicing.ask(part(**changes), auto_pay=auto_pay, payer_id=new_id(), currency="AUD")
    assert (fact and (fact.version, fact.target_minor)) == asked


def test_what_comes_after_its_date_was_billed_is_due_at_once() -> None:
    assert [invoicing.first_state(SALE + timedelta(days=n), billed_until=SALE) for n in (-1, 0, 1)] == [
        "due",
        "due",
        "scheduled",
    ]
