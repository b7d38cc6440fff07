"""Two businesses never see each other's things, on any endpoint there is; and a client sees only their own."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from deploy.local.docs import DOCS
from tests.harness.gateway import Gateway
from tests.harness.studio import FRIDAY, PROFILE, Studio, days
from tests.stories.test_collecting import used_and_closed

DOCUMENT = json.loads((DOCS / "openapi.json").read_text())
VERBS = ("get", "post", "put", "patch", "delete")
ENDPOINTS = [(verb, path) for path, item in DOCUMENT["paths"].items() for verb in VERBS if verb in item]
NOT_OURS_TO_CALL = "/directdebit/v1/providers/{business_id}/callbacks"
"""Has no token: its signature is tested with directdebit."""


@pytest.fixture
async def things(studio: Studio) -> dict[str, str]:
    """The ids of one of each thing of a business, by the names that paths give them."""
    mandate = await studio.mandate("settle")
    package_id = await used_and_closed(studio)
    (invoice,) = await studio.invoices(package_id)
    booking_id = await studio.book(await _open_package(studio), FRIDAY + days(9))
    debits = await studio.owner.make("GET", "/directdebit/v1/debits")
    mandates = await studio.owner.make("GET", "/directdebit/v1/mandates")
    template = await studio.owner.make("GET", "/catalog/v1/templates")
    assert mandates["items"][0]["provider_mandate"] == mandate
    return {
        "client_id": studio.ana,
        "staff_id": studio.kim,
        "service_id": studio.training,
        "template_id": template["items"][0]["template_id"],
        "package_id": package_id,
        "booking_id": booking_id,
        "invoice_id": invoice["invoice_id"],
        "debit_id": debits["items"][0]["debit_id"],
        "run_id": debits["items"][0]["run_id"],
        "instalment_id": debits["items"][0]["items"][0]["instalment_id"],
        "mandate_id": mandates["items"][0]["mandate_id"],
        "business_id": str(studio.business_id),
    }


async def _open_package(studio: Studio) -> str:
    template_id = await studio.template(form="paid_in_full", session_count=3, price_minor=15000)
    return await studio.sell(template_id)


Body = Callable[[Studio, dict[str, str]], dict[str, Any]]


def _template(service_id: str) -> dict[str, Any]:
    fields = {"name": "Mine now", "billing_mode": "pre_bill", "form": "paid_in_full", "session_count": 3}
    return fields | {"price_minor": 15000, "service_ids": [service_id]}


BODIES: dict[str, Body] = {
    "POST /billing/v1/invoices/{invoice_id}/payments": lambda own, ids: {"amount_minor": 1, "method": "cash"},
    "POST /booking/v1/bookings": lambda own, ids: {
        "client_id": ids["client_id"],
        "service_id": ids["service_id"],
        "practitioner_id": ids["staff_id"],
        "package_id": ids["package_id"],
        "starts_at": "2022-09-30T10:00:00+10:00",
    },
    "POST /booking/v1/bookings/{booking_id}/attendance": lambda own, ids: {"attended": True},
    "POST /booking/v1/bookings/{booking_id}/cancel": lambda own, ids: {"reason": "mine"},
    "POST /booking/v1/bookings/{booking_id}/refuse": lambda own, ids: {"reason": "mine"},
    "PUT /catalog/v1/business": lambda own, ids: PROFILE,
    "PUT /catalog/v1/business/clock": lambda own, ids: {"now": "2022-09-28T08:00:00+10:00"},
    "POST /catalog/v1/clients": lambda own, ids: {"name": "Mine now"},
    "PATCH /catalog/v1/clients/{client_id}": lambda own, ids: {"name": "Mine now"},
    "POST /catalog/v1/services": lambda own, ids: {"name": "Mine now", "minutes": 60},
    "PATCH /catalog/v1/services/{service_id}": lambda own, ids: {"name": "Mine now"},
    "POST /catalog/v1/staff": lambda own, ids: {"name": "Mine now", "practitioner": True, "seller": True},
    "PATCH /catalog/v1/staff/{staff_id}": lambda own, ids: {"name": "Mine now"},
    "POST /catalog/v1/templates": lambda own, ids: _template(ids["service_id"]),
    "PUT /catalog/v1/templates/{template_id}": lambda own, ids: _template(own.training),
    "POST /directdebit/v1/mandates": lambda own, ids: {
        "payer_id": ids["client_id"],
        "provider_mandate": "MD0001",
        "account_ending": "89",
    },
    "POST /directdebit/v1/mandates/register": lambda own, ids: {
        "payer_id": ids["client_id"],
        "account_holder": "Mine Now",
        "branch_code": "062-000",
        "account_number": "123456789",
    },
    "PUT /directdebit/v1/bank-holidays/{day}": lambda own, ids: {"closed": True, "name": "Mine now"},
    "PUT /directdebit/v1/provider/processing": lambda own, ids: {"process_billing": "reviewed"},
    "PUT /directdebit/v1/provider": lambda own, ids: own.account,
    "PUT /notify/v1/templates/{kind}": lambda own, ids: {"subject": "Mine now", "body": "Mine now, $business"},
    "POST /packages/v1/packages": lambda own, ids: {"client_id": ids["client_id"], "template_id": ids["template_id"]},
    "POST /packages/v1/packages/{package_id}/adjustments": lambda own, ids: {"sessions": 5, "reason": "mine"},
    "POST /packages/v1/packages/{package_id}/renewal": lambda own, ids: {"auto_renew": True},
    "POST /packages/v1/packages/{package_id}/auto-pay": lambda own, ids: {"auto_pay": True},
    "POST /packages/v1/packages/{package_id}/expiry": lambda own, ids: {"expiry_date": None},
}
"""A body that is right in every field, of every endpoint that takes one; only an id is the other business's."""


def test_every_endpoint_that_takes_a_body_gets_a_right_one() -> None:
    taking = {f"{verb.upper()} {path}" for verb, path in ENDPOINTS if "requestBody" in DOCUMENT["paths"][path][verb]}
    assert set(BODIES) == taking


NO_IDS = {"kind": "booking_confirmed", "day": "2022-10-03"}
"""What paths name that is no thing of a business."""


async def call(gateway: Gateway, verb: str, path: str, things: dict[str, str], body: Any = None) -> tuple[int, Any]:
    """Call an endpoint with the other's ids."""
    params = {name: things[name] for name in ("client_id", "template_id")} if path == PREVIEW else None
    answer = await gateway.request(verb.upper(), path.format(**NO_IDS | things), json=body, params=params)
    return answer.status_code, answer.json() if answer.content else None


async def test_another_business_finds_nothing_and_changes_nothing(studio: Studio, things: dict[str, str]) -> None:
    neighbour = Studio(studio.system, studio.observer)
    await neighbour.open()
    before = await everything(studio.owner)
    for verb, path in ENDPOINTS:
        if path == NOT_OURS_TO_CALL:
            continue
        make = BODIES.get(f"{verb.upper()} {path}")
        body = make(neighbour, things) if make else None
        status, seen = await call(neighbour.owner, verb, path, things, body)
        if any(f"{{{name}}}" in path for name in things):
            assert status == 404, f"{verb} {path} answered {status}: {seen}"
        elif any(value in json.dumps(body) for value in things.values()):
            assert status in (409, 422), f"{verb} {path} answered {status}: {seen}"
        text = json.dumps(seen)
        told = [value for value in things.values() if value in text]
        assert status >= 400 or not told, f"{verb} {path} shows {told}"
    assert await everything(studio.owner) == before
    await neighbour.close()


async def everything(gateway: Gateway) -> dict[str, Any]:
    """All that a business can list."""
    lists = [path for verb, path in ENDPOINTS if verb == "get" and "{" not in path and path != PREVIEW]
    return {path: await gateway.make("GET", path) for path in lists}


PREVIEW = "/packages/v1/packages/preview"


async def test_a_client_sees_only_their_own(studio: Studio, things: dict[str, str]) -> None:
    stranger = studio.as_client(await studio.client("Stranger"))
    await studio.quiet()
    for verb, path in ENDPOINTS:
        if verb != "get" or path == PREVIEW:
            continue
        status, seen = await call(stranger, verb, path, things)
        shared = ("/catalog/v1/services", "/catalog/v1/templates")
        if path.startswith(shared):
            continue
        assert status in (200, 403, 404), f"{path} answered {status}: {seen}"
        text = json.dumps(seen) if status == 200 else ""
        assert not [value for value in things.values() if value in text], f"{path} shows {text}"


@pytest.mark.parametrize("token", ["nonsense", "e30.e30.", "a.b.c"])
async def test_without_a_good_token_every_door_is_shut(studio: Studio, token: str) -> None:
    stranger = studio.gateway(token)
    any_id = {name: str(studio.business_id) for name in ("business_id", *_names())}
    for verb, path in ENDPOINTS:
        if path != NOT_OURS_TO_CALL:
            status, seen = await call(stranger, verb, path, any_id | {"staff_id": any_id["business_id"]})
            assert status == 401, f"{verb} {path} answered {status}: {seen}"


def _names() -> set[str]:
    """The names of all path parameters, and of the ids that bodies carry."""
    of_paths = {part[1:-1] for _, path in ENDPOINTS for part in path.split("/") if part.startswith("{")}
    return of_paths | {"client_id", "service_id", "template_id", "package_id"}
