"""What the book accepts, without a database."""

from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import accumulate
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog import rules
from services.catalog.tables import Client, OfferedService, Staff, TemplateVersion
from shared.errors import Conflict
from shared.events.catalog import BusinessChanged, ClientChanged, ServiceChanged, Terms, Tier
from shared.ids import new_id
from tests.harness.terms import POST_BILL
from tests.harness.terms import terms as usual_terms

SERVICE = OfferedService(service_id=new_id(), sequence=1, name="PT", minutes=60, active=True)
KIM = Staff(staff_id=new_id(), sequence=1, name="Kim", practitioner=True, seller=False, active=True)
NOON = datetime(2022, 9, 9, 2, 0, tzinfo=UTC)


terms = partial(usual_terms, service_ids=[SERVICE.service_id], practitioner_ids=[KIM.staff_id])
INSTALMENTS = {"form": "instalments", "price_minor": 110000, "frequency": "fortnightly", "instalment_count": 5}
RECURRING = {
    "form": "recurring",
    "session_count": 6,
    "price_minor": 30000,
    "frequency": "fortnightly",
    "rollover": "reset",
    "term_weeks": 0,
}
FORMS: list[dict[str, Any]] = [{}, INSTALMENTS, RECURRING, POST_BILL]


def wrong(offered: Terms, services: Any = (SERVICE,), staff: Any = (KIM,)) -> list[str]:
    """The fields that a refusal names."""
    try:
        rules.offer(new_id(), 1, offered, services, staff)
    except rules.TermsRefused as refused:
        return [error["field"] for error in refused.members["errors"]]
    return []


frequencies = st.sampled_from(["weekly", "fortnightly", "monthly"])
counts = st.integers(1, 10_000)
tiers = st.lists(st.tuples(st.integers(1, 50), st.integers(1, 10**6)), min_size=1, max_size=8).map(
    lambda steps: [
        Tier(at_least=at_least, rate_minor=rate)
        for at_least, (_, rate) in zip(accumulate([1, *(step for step, _ in steps[1:])]), steps, strict=True)
    ]
)


def form(name: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"form": st.just(name), "session_count": counts, **fields})


valid = st.one_of(
    form("paid_in_full", price_minor=st.integers(0, 10**12)),
    form(
        "instalments",
        price_minor=st.integers(120, 10**12),
        frequency=frequencies,
        instalment_count=st.integers(2, 120),
    ),
    form(
        "recurring",
        price_minor=st.integers(0, 10**12),
        frequency=frequencies,
        rollover=st.sampled_from(["reset", "add"]),
        term_weeks=st.integers(0, 520).map(lambda fortnights: 2 * fortnights),
    ),
    st.fixed_dictionaries({"tiers": tiers}).map(lambda rated: POST_BILL | rated),
).flatmap(
    lambda own: st.fixed_dictionaries(
        {
            "valid_days": st.none() | st.integers(1, 3650),
            "late_cancel_hours": st.integers(0, 720),
            "needs_approval": st.booleans(),
            "practitioner_ids": st.sampled_from([[], [KIM.staff_id]]),
        }
    ).map(lambda shared: own | shared | ({"valid_days": None} if own.get("form") == "recurring" else {}))
)

A_VALUE = {
    "session_count": 3,
    "price_minor": 10000,
    "frequency": "weekly",
    "instalment_count": 3,
    "rollover": "add",
    "term_weeks": 0,
    "tiers": [Tier(at_least=1, rate_minor=100)],
}


@pytest.mark.behaviour("CC-01", "EZ-02")
@given(valid)
def test_terms_that_are_those_of_their_form_are_offered(fields: dict[str, Any]) -> None:
    offered = terms(**fields)
    fact = rules.offer(SERVICE.service_id, 1, offered, [SERVICE], [KIM])
    assert (fact.version, fact.active, fact.terms) == (1, True, offered)


@given(valid, st.data())
def test_a_field_that_a_form_lacks_or_has_too_many_is_named_and_no_other(
    fields: dict[str, Any], data: st.DataObject
) -> None:
    offered = terms(**fields)
    field = data.draw(st.sampled_from(sorted(A_VALUE)))
    needed = field in rules.NEEDS[offered.form]
    broken = offered.model_copy(update={field: ([] if field == "tiers" else None) if needed else A_VALUE[field]})
    assert wrong(broken) == [field]


@pytest.mark.behaviour("CC-01")
def test_each_form_may_be_offered_as_the_seeds_show_it() -> None:
    assert [wrong(terms(**fields)) for fields in FORMS] == [[], [], [], []]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"form": None}, ["form"]),
        (POST_BILL | {"form": "recurring"}, ["form"]),
        (RECURRING | {"term_weeks": 13}, ["term_weeks"]),
        (INSTALMENTS | {"price_minor": 4}, ["price_minor"]),
        (POST_BILL | {"tiers": [{"at_least": 2, "rate_minor": 1}]}, ["tiers.0.at_least"]),
        (POST_BILL | {"tiers": [{"at_least": 1, "rate_minor": 1}] * 2}, ["tiers.1.at_least"]),
        ({"service_ids": [SERVICE.service_id] * 2}, ["service_ids.1"]),
        ({"price_minor": None, "rollover": "add"}, ["price_minor", "rollover"]),
    ],
)
def test_whatever_is_wrong_is_named(fields: dict[str, Any], named: list[str]) -> None:
    assert wrong(terms(**fields)) == named


@pytest.mark.behaviour("OE-06", "OE-07", "OE-11", "OE-12", "OE-13")
@pytest.mark.parametrize("field", ["frequency", "rollover", "term_weeks", "session_count", "price_minor"])
def test_a_recurring_template_chooses_everything_it_recurs_by(field: str) -> None:
    assert wrong(terms(**RECURRING)) == []
    assert wrong(terms(**(RECURRING | {field: None}))) == [field]


@pytest.mark.parametrize("weeks", [12, 2, 0])
def test_a_term_is_a_whole_number_of_periods(weeks: int) -> None:
    assert wrong(terms(**(RECURRING | {"term_weeks": weeks}))) == []


def test_a_monthly_term_is_in_months() -> None:
    assert wrong(terms(**(RECURRING | {"frequency": "monthly", "term_weeks": 7}))) == []


@pytest.mark.behaviour("EZ-06", "PB-09")
def test_only_what_is_in_the_book_and_active_is_sold() -> None:
    idle = Staff(staff_id=KIM.staff_id, practitioner=True, active=False)
    desk = Staff(staff_id=KIM.staff_id, practitioner=False, active=True)
    ended = OfferedService(service_id=SERVICE.service_id, active=False)
    assert wrong(terms(), [], []) == ["service_ids.0", "practitioner_ids.0"]
    assert wrong(terms(), [ended]) == ["service_ids.0"]
    assert [wrong(terms(), [SERVICE], [person]) for person in (idle, desk)] == [["practitioner_ids.0"]] * 2


def test_a_withdrawn_template_is_a_new_version_and_withdrawn_once() -> None:
    newest = TemplateVersion(template_id=new_id(), version=3, active=True, description="", terms=terms())
    fact = rules.withdraw(newest)
    assert (fact.version, fact.active, fact.terms) == (4, False, newest.terms)
    newest.active = False
    with pytest.raises(rules.AlreadyWithdrawn):
        rules.withdraw(newest)


def business(**changes: Any) -> BusinessChanged:
    usual: dict[str, Any] = {
        "business_id": UUID(int=1),
        "sequence": 4,
        "name": "Studio",
        "zone": "Australia/Sydney",
        "currency": "AUD",
        "email": "desk@studio.example",
        "test_now": NOON,
    }
    return BusinessChanged.model_validate(usual | changes)


LOFT: dict[str, Any] = {
    "name": "Loft",
    "zone": "Europe/Paris",
    "currency": "EUR",
    "email": "loft@studio.example",
    "test_now": None,
    "production": False,
}


def test_a_new_zone_leaves_the_test_clock_where_it_stands() -> None:
    for given_again in (None, NOON):
        fact = rules.describe(business(), **(LOFT | {"test_now": given_again}))
        assert (fact.zone, fact.test_now, fact.sequence) == ("Europe/Paris", NOON, 5)


def test_the_first_description_says_in_which_time_a_business_lives() -> None:
    for test_now in (None, NOON):
        fact = rules.describe(business(sequence=0, test_now=None), **(LOFT | {"test_now": test_now}))
        assert (fact.test_now, fact.sequence) == (test_now, 1)


@pytest.mark.parametrize(
    ("standing", "refusal"), [(None, rules.LivesInRealTime), (NOON - timedelta(days=1), rules.ClockMovesElsewhere)]
)
def test_a_later_description_brings_no_test_clock(standing: datetime | None, refusal: type[Conflict]) -> None:
    with pytest.raises(refusal) as refused:
        rules.describe(business(test_now=standing), **(LOFT | {"test_now": NOON}))
    assert [error["field"] for error in refused.value.members["errors"]] == ["test_now"]


@given(st.lists(st.integers(-(10**6), 10**6), min_size=2, max_size=2))
def test_a_test_clock_only_moves_forward(seconds: list[int]) -> None:
    first, second = (NOON + timedelta(seconds=number) for number in seconds)
    standing = business(test_now=first)
    if second < first:
        with pytest.raises(rules.ClockRunsForward):
            rules.move_clock(standing, now=second, production=False)
    else:
        moved = rules.move_clock(standing, now=second, production=False)
        assert (moved.test_now, moved.sequence) == (second, 5)


def test_a_business_in_real_time_gets_no_test_clock() -> None:
    with pytest.raises(rules.LivesInRealTime):
        rules.move_clock(business(test_now=None), now=NOON, production=False)


def test_production_has_no_test_clock() -> None:
    for standing in (None, NOON):
        with pytest.raises(rules.NoTestClock):
            rules.move_clock(business(test_now=standing), now=NOON, production=True)
    with pytest.raises(rules.NoTestClock):
        rules.describe(business(sequence=0, test_now=None), **(LOFT | {"test_now": NOON, "production": True}))


def test_an_entry_is_told_whole_under_the_next_number() -> None:
    ana = Client(client_id=new_id(), sequence=2, name="Ana", email="ana@example.test", active=True)
    fact = rules.change(ana, {"active": False, "email": None})
    assert fact == ClientChanged(client_id=ana.client_id, sequence=3, name="Ana", email=None, active=False)
    ana.apply(fact)
    assert (ana.sequence, ana.email, ana.active) == (3, None, False)


def test_an_entry_changes_by_its_own_fact_only() -> None:
    ana = Client(client_id=new_id(), sequence=1, name="Ana", email=None, active=True)
    with pytest.raises(TypeError):
        ana.apply(ServiceChanged(service_id=ana.client_id, sequence=2, name="PT", minutes=5, active=True))


def test_a_client_sees_themselves_and_what_is_offered() -> None:
    ana = Client(client_id=new_id())
    ended = OfferedService(active=False)

    def seen(who: UUID | None) -> list[bool]:
        return [rules.may_see(entry, who) for entry in (ana, SERVICE, ended, KIM)]

    assert seen(None) == [True, True, True, True]
    assert seen(ana.client_id) == [True, True, False, False]
    assert seen(new_id()) == [False, True, False, False]


@pytest.mark.parametrize(
    ("texts", "found_by"),
    [
        (("José O'Neill", "jo@example.test"), {"jose", "o", "neill", "jo", "example", "test"}),
        (("STRAẞE", None), {"strasse"}),
        (("%_\x00 ", ""), {"_"}),
        (("x" * 80,), {"x" * 50}),
    ],
)
def test_words_have_neither_case_nor_accents(texts: tuple[str | None, ...], found_by: set[str]) -> None:
    assert rules.words(*texts) == found_by


@given(st.text("abßcéÅñ-'.@ 7", max_size=200))
def test_words_are_the_same_however_they_are_written(name: str) -> None:
    assert rules.words(name) == rules.words(name.upper()) == rules.words(name.lower())
