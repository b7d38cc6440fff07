"""Templates and their versions, on PostgreSQL."""

import asyncio
from typing import Any

import pytest

from shared.events.catalog import TemplatePublished
from shared.ids import new_id
from tests.catalog.conftest import PROFILE, Book, fields_of, ten_sessions
from tests.catalog.test_rules import FORMS

pytestmark = pytest.mark.servers


@pytest.mark.behaviour("CC-01", "PB-02", "OE-05")
@pytest.mark.parametrize("form", FORMS)
async def test_a_template_of_each_form_is_offered_and_told(book: Book, form: dict[str, Any]) -> None:
    template = await book.template(description="Ten hours.\nNo hurry.", **form)
    assert (template["version"], template["active"], template["currency"]) == (1, True, "AUD")
    assert template["description"] == "Ten hours.\nNo hurry."
    (fact,) = await book.room.facts(book.business_id, TemplatePublished)
    assert isinstance(fact, TemplatePublished)
    assert fact.terms.model_dump(mode="json").items() <= template.items()
    assert "description" not in fact.terms.model_dump()
    assert await book.room.violations(book.business_id) == {}


@pytest.mark.behaviour("CC-18", "OE-12", "OE-13")
async def test_a_recurring_template_says_what_a_period_gives_and_costs(book: Book) -> None:
    template = await book.template(
        form="recurring",
        session_count=6,
        price_minor=30000,
        frequency="fortnightly",
        rollover="reset",
        term_weeks=0,
    )
    assert (template["session_count"], template["price_minor"], template["term_weeks"]) == (6, 30000, 0)


@pytest.mark.behaviour("EZ-02")
@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"billing_mode": "on_the_house"}, ["billing_mode"]),
        ({"form": None}, ["form"]),
        ({"form": "recurring"}, ["frequency", "rollover", "term_weeks"]),
        ({"instalment_count": 1}, ["instalment_count"]),
        ({"tiers": [{"at_least": 0, "rate_minor": 1}]}, ["tiers.0.at_least"]),
        ({"service_ids": []}, ["service_ids"]),
        ({"service_ids": [str(new_id())]}, ["service_ids.0"]),
        ({"practitioner_ids": [str(new_id())]}, ["practitioner_ids.0"]),
        ({"late_cancel_hours": 721}, ["late_cancel_hours"]),
        ({"valid_days": 0}, ["valid_days"]),
        ({"price_minor": 12.5}, ["price_minor"]),
    ],
)
async def test_terms_that_make_no_template_are_named(book: Book, changes: dict[str, Any], fields: list[str]) -> None:
    service = await book.add("services", name="PT", minutes=60)
    body = ten_sessions(service_ids=[service["service_id"]]) | changes
    assert fields_of(await book.ask("POST", "templates", body, status=422)) == fields


@pytest.mark.behaviour("EZ-06")
async def test_what_another_business_offers_is_not_sold_here(book: Book) -> None:
    neighbour = Book(book.room, new_id(), "")
    neighbour.owner = book.room.issuer.staff(neighbour.business_id)
    await neighbour.ask("PUT", "business", PROFILE)
    service = await neighbour.add("services", name="PT", minutes=60)
    body = ten_sessions(service_ids=[service["service_id"]])
    assert fields_of(await book.ask("POST", "templates", body, status=422)) == ["service_ids.0"]
    await book.ask("GET", f"services/{service['service_id']}", status=404)
    await book.ask("PATCH", f"services/{service['service_id']}", {"minutes": 5}, status=404)


async def test_a_template_changes_by_new_versions_only(book: Book) -> None:
    template = await book.template()
    path = f"templates/{template['template_id']}"
    body = ten_sessions(service_ids=template["service_ids"])
    assert (await book.ask("PUT", path, body))["version"] == 1
    assert (await book.ask("PUT", path, body | {"price_minor": 45000}))["version"] == 2
    withdrawn = await book.ask("POST", f"{path}/withdraw")
    assert (withdrawn["version"], withdrawn["active"], withdrawn["price_minor"]) == (3, False, 45000)
    assert (await book.ask("POST", f"{path}/withdraw", status=409))["type"].endswith(":already-withdrawn")
    assert (await book.ask("PUT", path, body))["version"] == 4
    facts = await book.room.facts(book.business_id, TemplatePublished)
    versions = [
        (fact.version, fact.active, fact.terms.price_minor) for fact in facts if isinstance(fact, TemplatePublished)
    ]
    assert versions == [(1, True, 50000), (2, True, 45000), (3, False, 45000), (4, True, 50000)]
    assert [item["version"] for item in (await book.ask("GET", "templates"))["items"]] == [4]
    assert await book.room.violations(book.business_id) == {}


async def test_revisions_at_once_are_versions_one_after_the_other(book: Book) -> None:
    template = await book.template()
    path, body = f"templates/{template['template_id']}", ten_sessions(service_ids=template["service_ids"])
    await asyncio.gather(*(book.ask("PUT", path, body | {"price_minor": price}) for price in range(1, 7)))
    facts = await book.room.facts(book.business_id, TemplatePublished)
    assert sorted(f.version for f in facts if isinstance(f, TemplatePublished)) == [1, 2, 3, 4, 5, 6, 7]


async def test_an_unknown_template_is_not_found(book: Book) -> None:
    path, service = f"templates/{new_id()}", await book.add("services", name="PT", minutes=60)
    await book.ask("GET", path, status=404)
    await book.ask("PUT", path, ten_sessions(service_ids=[service["service_id"]]), status=404)
    await book.ask("POST", f"{path}/withdraw", status=404)
