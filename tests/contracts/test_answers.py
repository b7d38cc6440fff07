"""Whatever the API is asked, by whomever, it answers as its document says: no surprise, and never a fault of ours.

Schemathesis makes the requests from `docs/openapi.json`: some that fit it, many with ids of things that exist, and some
that do not, which must be refused.
"""

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core import NOT_SET
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from deploy.local.docs import DOCS
from shared.ids import new_id
from tests.contracts.conftest import World
from tests.stories.test_two_businesses import BODIES, ENDPOINTS, MEANT_BY, NO_IDS, QUERIES, Things

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
AT_LENGTH = [pytest.mark.at_length, pytest.mark.timeout(900)]
REQUESTS = [pytest.param(2, id="a few"), pytest.param(100, id="many", marks=AT_LENGTH)]
"""So many of the owner's that fit, and as many that do not."""
AN_HOUR_LATER = "2022-09-12T09:00:00+10:00"
"""A clock that is moved further would have years of days to live."""
NOT_NOW = {
    "POST /billing/v1/invoices/{invoice_id}/payments": "its debit has paid the invoice",
    "POST /booking/v1/bookings/{booking_id}/approve": "the booking was confirmed at once",
    "POST /booking/v1/bookings/{booking_id}/attendance": "the booking has not begun",
    "POST /booking/v1/bookings/{booking_id}/refuse": "the booking was confirmed at once",
    "POST /directdebit/v1/collections/{instalment_id}/retry": "its debit has not failed",
    "POST /directdebit/v1/runs": "nothing is due",
    "POST /directdebit/v1/runs/{run_id}/cancel": "the run was sent",
    "POST /directdebit/v1/runs/{run_id}/confirm": "the run was sent",
    "POST /directdebit/v1/providers/{business_id}/callbacks": "only the provider can sign",
}
"""What even the owner cannot do with the things that there are, and why."""


def _document() -> dict[str, Any]:
    """The document without its tokens: who asks is our choice, and a request without one has a test of its own."""
    document: dict[str, Any] = json.loads((DOCS / "openapi.json").read_text())
    for item in document["paths"].values():
        for endpoint in item.values():
            endpoint.pop("security", None)
    return document


SCHEMA = schemathesis.openapi.from_dict(_document())
OPERATIONS = [SCHEMA[path][verb] for verb, path in ENDPOINTS]


def test_what_is_done_is_answered_as_documented(world: World) -> None:
    """Everything once, with a right request; what ends a thing comes last."""
    refused = {}
    for operation in sorted(
        OPERATIONS, key=lambda each: each.path.endswith(("/cancel", "/close", "/erase", "/withdraw"))
    ):
        body, query = BODIES.get(operation.label), QUERIES.get(operation.label)
        case = operation.Case(
            path_parameters=NO_IDS | world.things,
            query=query(world.studio, world.things) if query else {},
            body=body(world.studio, world.things) if body else NOT_SET,
            media_type="application/json" if body else None,
        )
        if (status := examine(case, world, "the owner")) >= 300:
            refused[operation.label] = status
    assert refused.keys() ^ NOT_NOW.keys() == set(), refused


@pytest.mark.parametrize("many", REQUESTS)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: str(operation.label))
def test_whatever_is_asked_is_answered_as_documented(operation: Any, many: int, world: World) -> None:
    for caller in world.tokens:
        ask(operation, GenerationMode.POSITIVE, world, caller, many if caller == "the owner" else 1)
    raw = operation.definition.raw
    if raw.get("parameters") or "requestBody" in raw:  # else there is nothing that could be wrong
        ask(operation, GenerationMode.NEGATIVE, world, "the owner", many)


def ask(operation: Any, mode: GenerationMode, world: World, caller: str, many: int) -> None:
    """Make requests that fit the document, or that do not; each time the same ones, but for the ids."""

    @settings(
        max_examples=many,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode), st.integers(0, 3))
    def all_of_them(case: Case[Any], luck: int) -> None:
        if mode is GenerationMode.POSITIVE:
            aim(case, world.things if luck < 3 else {})
        examine(case, world, caller, new_key=mode is GenerationMode.POSITIVE)

    all_of_them()


def examine(case: Case[Any], world: World, caller: str, *, new_key: bool = True) -> int:
    """Send a request, and hold its answer against the document."""
    headers = {"Authorization": f"Bearer {world.tokens[caller]}"}
    if new_key and case.method.lower() == "post":
        headers["Idempotency-Key"] = str(new_id())
    answer = case.call(base_url=world.url, headers=headers)
    case.validate_response(answer, checks=CHECKS)
    return answer.status_code


def aim(case: Case[Any], things: Things) -> None:
    """Let a request ask for things that there are, and move no clock by years."""
    case.path_parameters = _aimed(case.path_parameters, things)
    case.query = _aimed(case.query, things)
    if isinstance(case.body, dict):
        case.body = _aimed(case.body, things)


def _aimed(fields: dict[str, Any], things: Things) -> dict[str, Any]:
    known = {name: things.get(MEANT_BY.get(name, name)) for name in fields if name != "cursor"}
    aimed = {name: [thing] if name.endswith("_ids") else thing for name, thing in known.items() if thing}
    clock = {"now": AN_HOUR_LATER} if "now" in fields else {}
    return fields | {name: thing for name, thing in aimed.items() if fields[name]} | clock
