"""What is owed, and how it reads; by the vectors of the design, and by properties."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing import rules
from services.billing.tables import BilledPackage, DebitFact, Instalment, Invoice, Standing
from shared.events.billing import DatedAmount, InvoiceIssued
from shared.events.catalog import Tier
from shared.events.directdebit import DebitDeclined
from shared.events.packages import PackageClosed, UsedSession
from shared.ids import new_id
from tests.harness.terms import FIRST_DUE, POST_BILL, SALE, sold


def bill(first_due: date = FIRST_DUE, **changes: Any) -> rules.Bill:
    made = rules.bill_sale(sold(new_id(), first_due=first_due, **changes))
    assert made
    return made


def days(*dates: tuple[int, int]) -> list[date]:
    return [date(2022, month, day) for day, month in dates]


# When, and how much


@given(total=st.integers(0, 10**12), parts=st.integers(1, 500))
def test_a_split_sums_to_the_total_and_its_larger_parts_come_first(total: int, parts: int) -> None:
    made = rules.split(total, parts)
    assert sum(made) == total
    assert len(made) == parts
    assert made == sorted(made, reverse=True)
    assert made[0] - made[-1] in (0, 1)


@pytest.mark.parametrize(
    ("total", "parts"), [(110000, [22000] * 5), (100000, [33334, 33333, 33333]), (1001, [251, 250, 250, 250])]
)
def test_a_total_is_split_as_written(total: int, parts: list[int]) -> None:
    """V-02, V-15."""
    assert rules.split(total, len(parts)) == parts


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
    assert rules.bill_sale(sold(new_id(), **POST_BILL)) is None


def test_nothing_is_invoiced_for_a_package_that_costs_nothing() -> None:
    assert rules.bill_sale(sold(new_id(), price_minor=0)) is None


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
    with pytest.raises(rules.NotBillable):
        rules.bill_sale(sold(new_id(), **lack))


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
    """V-08."""
    made = rules.bill_closure(package(), closed([*["attended"] * 4, "no_show", "late_cancelled"]), today=SALE)
    assert made
    assert [line.amount_minor for line in made.lines] == [5500] * 6
    assert made.dated == [(SALE, 33000)]
    assert made.lines[0].description == "Pay as you go: 2022-09-04, late cancelled"
    assert made.lines[-1].description == "Pay as you go: 2022-09-09, attended"


def test_a_later_closure_is_rated_by_the_running_total() -> None:
    few = rules.bill_closure(package(), closed(["attended"]), today=SALE)
    after_four = rules.bill_closure(package(), closed(["attended"], counted_before=4), today=SALE)
    assert few and after_four
    assert (few.total_minor, after_four.total_minor) == (6000, 5500)


def test_nothing_used_is_nothing_owed() -> None:
    assert rules.bill_closure(package(), closed([]), today=SALE) is None


def test_closing_a_pre_billed_package_owes_nothing() -> None:
    assert rules.bill_closure(package(post_bill=False), closed(["attended"], tiers=[]), today=SALE) is None


def test_no_rate_is_guessed() -> None:
    with pytest.raises(rules.NoRate):
        rules.rate([Tier(at_least=3, rate_minor=6000)], 2)


# What is collected


def issued(*amounts: tuple[date, int]) -> InvoiceIssued:
    parts = [DatedAmount(instalment_id=new_id(), due_date=day, amount_minor=amount) for day, amount in amounts]
    return InvoiceIssued(
        invoice_id=new_id(),
        number=1,
        package_id=new_id(),
        client_id=new_id(),
        payer_id=new_id(),
        lines=[],
        instalments=parts,
        total_minor=sum(amount for _, amount in amounts),
        currency="AUD",
    )


def test_only_what_is_due_is_collected() -> None:
    invoice = issued((SALE - timedelta(days=1), 1), (SALE, 2), (SALE + timedelta(days=1), 3))
    asked = rules.collect(package(), invoice, today=SALE)
    assert [(each.target_minor, each.collect_date, each.version) for each in asked] == [
        (1, SALE - timedelta(days=1), 1),
        (2, SALE, 1),
    ]
    assert {each.payer_id for each in asked} == {invoice.payer_id}


def test_nothing_is_collected_without_auto_pay() -> None:
    assert rules.collect(package(auto_pay=False), issued((SALE, 1)), today=SALE) == []


# What debits bring

OWED = 30000


def instalment(*facts: DebitFact, **changes: Any) -> Instalment:
    fields = {"instalment_id": new_id(), "amount_minor": OWED, "state": "due", "due_date": FIRST_DUE}
    return Instalment(**fields | changes, debit_facts=list(facts))


def fact(debit: int = 1, sequence: int = 1, state: str = "submitted", **amounts: Any) -> DebitFact:
    amounts = {"collected_minor": 0, "in_flight_minor": 0, "final": False, "attempt_no": debit} | amounts
    return DebitFact(debit_id=debit, sequence=sequence, state=state, **amounts)


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[DebitFact], list[DebitFact]]:
    """The facts of some debits in the order in which they became true, and in one in which they might come."""
    amounts = st.integers(0, OWED)
    told = [
        fact(
            debit,
            sequence,
            draw(st.sampled_from(["submitted", "settled", "declined"])),
            collected_minor=draw(amounts),
            in_flight_minor=draw(amounts),
            final=draw(st.booleans()),
        )
        for debit in range(draw(st.integers(1, 3)))
        for sequence in range(1, draw(st.integers(1, 4)) + 1)
    ]
    again = draw(st.lists(st.sampled_from(told), max_size=4))
    return told, draw(st.permutations(told + again))


def hear(facts: Sequence[DebitFact]) -> tuple[Standing, int]:
    """How an instalment stands after facts came one by one, and the cash that was entered for it."""
    owed, cash = instalment(), 0
    for each in facts:
        if each not in owed.debit_facts:
            cash += rules.brings(owed.debit_facts, each)
            owed.debit_facts.append(each)
            owed.apply(rules.stand(owed))
    return rules.stand(owed), cash


@given(arrivals())
def test_debits_end_the_same_in_any_order_and_however_often_told(
    arrivals: tuple[list[DebitFact], list[DebitFact]],
) -> None:
    told, came = arrivals
    assert hear(came) == hear(told)
    standing, cash = hear(came)
    last = {each.debit_id: each for each in told}.values()
    assert cash == sum(each.collected_minor for each in last)
    assert standing.open_minor == max(OWED - cash, 0)
    assert standing.in_flight_minor == sum(each.in_flight_minor for each in last)


def test_a_settled_debit_pays_and_its_loss_makes_due_again() -> None:
    settled = fact(1, 2, "settled", collected_minor=OWED)
    owed = instalment(fact(1, 1, in_flight_minor=OWED), settled)
    assert rules.stand(owed) == Standing("paid", FIRST_DUE, 0, 0, OWED)
    lost = fact(1, 3, "declined")
    assert rules.brings(owed.debit_facts, lost) == -OWED
    owed.debit_facts.append(lost)
    assert rules.stand(owed) == Standing("due", FIRST_DUE, OWED, 0, 0)


def test_a_void_instalment_stays_void_whatever_a_debit_brings() -> None:
    standing = rules.stand(instalment(fact(1, 1, "settled", collected_minor=OWED), state="void"))
    assert (standing.state, standing.open_minor) == ("void", 0)


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_a_decline_is_told_once_whether_or_not_the_submission_came_first(order: list[int]) -> None:
    invoice = Invoice(invoice_id=new_id(), number=7, client_id=new_id(), payer_id=new_id())
    debit_id = new_id()
    told = [fact(1, 1, in_flight_minor=OWED), fact(1, 2, "declined"), fact(1, 4, "declined")]
    declined = DebitDeclined(debit_id=debit_id, sequence=2, currency="AUD", items=[], code="6", reason_class="soft")
    for each in told:
        each.debit_id = debit_id
    owed, failures = instalment(), []
    for each in [*(told[position] for position in order), told[2]]:
        owed.debit_facts.append(each)
        if each.state == "declined":
            failures.append(rules.fail(invoice, owed, each, declined))
    (failed, silence) = failures
    assert silence is None
    assert failed
    assert (failed.amount_minor, failed.invoice_number, failed.final) == (OWED, 7, True)


def test_a_decline_that_was_made_good_before_it_was_heard_is_not_told() -> None:
    late = fact(1, 2, "declined")
    owed = instalment(fact(1, 3, "settled", collected_minor=OWED), late)
    declined = DebitDeclined(debit_id=new_id(), sequence=2, currency="AUD", items=[], code="6", reason_class="soft")
    assert rules.fail(Invoice(), owed, late, declined) is None


# How it reads

YESTERDAY, TODAY, TOMORROW = (FIRST_DUE + timedelta(days=offset) for offset in (-1, 0, 1))


@pytest.mark.parametrize(
    ("state", "due", "open_minor", "in_flight", "provisional", "reads"),
    [
        ("scheduled", TOMORROW, 100, 0, 0, "scheduled"),
        ("due", TODAY, 100, 0, 0, "due"),
        ("due", YESTERDAY, 100, 0, 0, "overdue"),
        ("due", YESTERDAY, 100, 60, 0, "overdue"),
        ("due", YESTERDAY, 100, 100, 0, "paid_uncleared"),
        ("due", YESTERDAY, 60, 60, 40, "paid_uncleared"),
        ("paid", YESTERDAY, 0, 0, 100, "paid"),
        ("paid", YESTERDAY, 0, 0, 0, "paid_final"),
        ("void", YESTERDAY, 0, 0, 0, "void"),
        ("waived", YESTERDAY, 0, 0, 0, "void"),
    ],
)
def test_an_instalment_reads(
    state: Any, due: date, open_minor: int, in_flight: int, provisional: int, reads: str
) -> None:
    standing = Standing(state, due, open_minor, in_flight, provisional)
    assert rules.label([standing], today=TODAY) == reads


@pytest.mark.parametrize(
    ("standings", "reads"),
    [
        ([Standing("paid", YESTERDAY, 0, 0, 100), Standing("scheduled", TOMORROW, 100, 0, 0)], "scheduled"),
        ([Standing("due", YESTERDAY, 100, 0, 0), Standing("scheduled", TOMORROW, 100, 0, 0)], "overdue"),
        ([Standing("due", YESTERDAY, 100, 100, 0), Standing("due", TODAY, 100, 0, 0)], "due"),
        ([Standing("paid", YESTERDAY, 0, 0, 0), Standing("due", TODAY, 100, 100, 0)], "paid_uncleared"),
        ([Standing("paid", YESTERDAY, 0, 0, 0), Standing("paid", TODAY, 0, 0, 100)], "paid"),
        ([Standing("void", YESTERDAY, 0, 0, 0), Standing("paid", TODAY, 0, 0, 0)], "paid_final"),
        ([Standing("void", YESTERDAY, 0, 0, 0)], "void"),
    ],
)
def test_an_invoice_reads_by_what_presses_most(standings: list[Standing], reads: str) -> None:
    assert rules.label(standings, today=TODAY) == reads
