"""Two businesses never see each other's things, on any endpoint there is; and a client sees only their own.

Ids of the other business are tried in paths, in bodies and in queries, one at a time: all else is right, so it is that
id which is refused. What there is to try comes from the API's document, so a new endpoint or field is tried by itself.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from deploy.local.docs import DOCS
from tests.harness.caller import Caller
from tests.harness.studio import FRIDAY, PROFILE, Studio, days
from tests.stories.test_collecting import used_and_closed

DOCUMENT = json.loads((DOCS / "openapi.json").read_text())
VERBS = ("get", "post", "put", "patch", "delete")
ENDPOINTS = [(verb, path) for path, item in DOCUMENT["paths"].items() for verb in VERBS if verb in item]
NOT_OURS_TO_CALL = "/directdebit/v1/providers/{business_id}/callbacks"
"""Has no token: its signature is tested with directdebit."""

Things = dict[str, str]
"""The ids of one of each thing of a business, by the names that paths give them."""


async def one_of_each(studio: Studio) -> Things:
    """Let a business have one of each thing."""
    mandate = await studio.mandate("settle")
    package_id = await used_and_closed(studio)
    (invoice,) = await studio.invoices(package_id)
    open_id = await _open_package(studio)
    booking_id = await studio.book(open_id, FRIDAY + days(9))
    debits = await studio.owner.make("GET", "/directdebit/v1/debits")
    mandates = await studio.owner.make("GET", "/directdebit/v1/mandates")
    template = await studio.owner.make("GET", "/catalog/v1/templates")
    assert mandates["items"][0]["provider_mandate"] == mandate
    return {
        "client_id": studio.ana,
        "staff_id": studio.kim,
        "service_id": studio.training,
        "template_id": template["items"][0]["template_id"],
        "package_id": open_id,
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


@pytest.fixture
async def things(studio: Studio) -> Things:
    return await one_of_each(studio)


@pytest.fixture
async def neighbour(studio: Studio) -> AsyncIterator[Studio]:
    """Another business in the same system."""
    neighbour = Studio(studio.system, studio.observer)
    await neighbour.open()
    yield neighbour
    await neighbour.close()


Body = Callable[[Studio, Things], dict[str, Any]]


def _template(ids: Things) -> dict[str, Any]:
    fields = {"name": "Mine now", "billing_mode": "pre_bill", "form": "paid_in_full", "session_count": 3}
    return fields | {"price_minor": 15000, "service_ids": [ids["service_id"]], "practitioner_ids": [ids["staff_id"]]}


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
    "POST /catalog/v1/templates": lambda own, ids: _template(ids),
    "PUT /catalog/v1/templates/{template_id}": lambda own, ids: _template(ids),
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
    "POST /packages/v1/packages": lambda own, ids: {
        "client_id": ids["client_id"],
        "template_id": ids["template_id"],
        "payer_id": ids["client_id"],
        "sold_by": ids["staff_id"],
    },
    "POST /packages/v1/packages/{package_id}/adjustments": lambda own, ids: {"sessions": 5, "reason": "mine"},
    "POST /packages/v1/packages/{package_id}/renewal": lambda own, ids: {"auto_renew": True},
    "POST /packages/v1/packages/{package_id}/auto-pay": lambda own, ids: {"auto_pay": True},
    "POST /packages/v1/packages/{package_id}/expiry": lambda own, ids: {"expiry_date": None},
}
"""A body that is right in every field, of every endpoint that takes one."""

QUERIES: dict[str, Body] = {
    "GET /packages/v1/packages/preview": BODIES["POST /packages/v1/packages"],
    "GET /catalog/v1/clients": lambda own, ids: {"search": "Ana"},
}
"""What must stand in a query, of endpoints that ask for more than a list does."""

MEANT_BY = {
    "payer_id": "client_id",
    "practitioner_id": "staff_id",
    "practitioner_ids": "staff_id",
    "sold_by": "staff_id",
    "service_ids": "service_id",
    "cursor": "business_id",
}
"""Whose id a body or a query asks for, where paths name it otherwise; a cursor may be any: an old one shows most."""

NO_IDS = {"kind": "booking_confirmed", "day": "2022-10-03"}
"""What paths name that is no thing of a business."""


@dataclass(frozen=True)
class Ask:
    """One request; `names` says where the other's id stands in it, where it stands in one."""

    verb: str
    path: str
    params: dict[str, Any]
    body: dict[str, Any] | None
    names: str | None = None

    def __str__(self) -> str:
        return f"{self.verb.upper()} {self.path} with {self.names}"

    async def of(self, caller: Caller) -> tuple[int, Any]:
        answer = await caller.request(self.verb.upper(), self.path, json=self.body, params=self.params)
        return answer.status_code, answer.json() if answer.content else None


def right(own: Studio, ids: Things, verb: str, path: str, paths: Things | None = None) -> Ask:
    """A request that is right in every field; `paths`: whose ids stand in the path, where it is another's."""
    name = f"{verb.upper()} {path}"
    make, query = BODIES.get(name), QUERIES.get(name)
    names = "an id in its path" if paths and any(f"{{{name}}}" in path for name in paths) else None
    return Ask(
        verb,
        path.format(**NO_IDS | (paths or ids)),
        query(own, ids) if query else {},
        make(own, ids) if make else None,
        names,
    )


def ids_asked_for(verb: str, path: str) -> Iterator[tuple[str, str]]:
    """Where an endpoint takes an id beside its path: ("body" or "query", name)."""
    endpoint = DOCUMENT["paths"][path][verb]
    for parameter in endpoint.get("parameters", []):
        if parameter["in"] == "query" and "uuid" in json.dumps(parameter["schema"]):
            yield "query", parameter["name"]
    for content in endpoint.get("requestBody", {}).get("content", {}).values():
        shape = DOCUMENT["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
        yield from (("body", name) for name, field in shape["properties"].items() if "uuid" in json.dumps(field))


def asks(own: Studio, mine: Things, theirs: Things) -> Iterator[Ask]:
    """Every endpoint with another's ids: in its path, or in one field of its body or query."""
    for verb, path in ENDPOINTS:
        if path == NOT_OURS_TO_CALL:
            continue
        yield right(own, mine, verb, path, theirs)
        for place, name in ids_asked_for(verb, path):
            ask = right(own, mine, verb, path)
            their_id = theirs[MEANT_BY.get(name, name)]
            their_value = [their_id] if name.endswith("_ids") else their_id
            changed = (ask.body if place == "body" else ask.params) or {}
            fields = {"body" if place == "body" else "params": changed | {name: their_value}}
            yield Ask(**vars(ask) | fields | {"names": f"{name} in its {place}"})


def test_every_endpoint_that_takes_a_body_gets_a_right_one() -> None:
    taking = {f"{verb.upper()} {path}" for verb, path in ENDPOINTS if "requestBody" in DOCUMENT["paths"][path][verb]}
    assert set(BODIES) == taking


async def everything(caller: Caller) -> dict[str, Any]:
    """All that a business can list."""
    lists = [path for verb, path in ENDPOINTS if verb == "get" and "{" not in path and path != PREVIEW]
    return {path: await caller.make("GET", path) for path in lists}


PREVIEW = "/packages/v1/packages/preview"


def ids_in(seen: Any) -> set[str]:
    return set(re.findall(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", json.dumps(seen)))


async def test_another_business_finds_nothing_and_changes_nothing(
    studio: Studio, things: Things, neighbour: Studio
) -> None:
    mine = await one_of_each(neighbour)
    before = await everything(studio.owner)
    secret = ids_in(before) | set(things.values())
    tried = list(asks(neighbour, mine, things))
    answers = await asyncio.gather(*(ask.of(neighbour.owner) for ask in tried))
    for ask, (status, seen) in zip(tried, answers, strict=True):
        if ask.names == "an id in its path":
            assert status == 404, f"{ask} answered {status}: {seen}"
        elif ask.names and ask.verb == "get" and "preview" not in ask.path:
            assert status == 200, f"{ask} answered {status}: {seen}"
            assert seen["items"] == [] or "cursor" in ask.names, f"{ask} found {seen}"
        elif ask.names:
            assert status in (404, 409, 422), f"{ask} answered {status}: {seen}"
        assert status >= 400 or not ids_in(seen) & secret, f"{ask} shows {ids_in(seen) & secret}"
    assert await everything(studio.owner) == before
    assert not ids_in(await everything(neighbour.owner)) & secret


async def test_what_is_refused_with_an_id_of_another_is_done_with_ones_own(studio: Studio, things: Things) -> None:
    await studio.quiet()
    for verb, path in ENDPOINTS:
        if any(True for _ in ids_asked_for(verb, path)):
            status, seen = await right(studio, things, verb, path).of(studio.owner)
            assert status in (200, 201, 202), f"{verb} {path} answered {status}: {seen}"


async def test_a_client_sees_only_their_own(studio: Studio, things: Things) -> None:
    stranger_id = await studio.client("Stranger")
    await studio.quiet()
    before = await everything(studio.owner)
    shared = ("/catalog/v1/services", "/catalog/v1/templates")
    tried = [ask for ask in asks(studio, things, things) if ask.verb != "get" or not ask.path.startswith(shared)]
    stranger = studio.as_client(stranger_id)
    answers = await asyncio.gather(*(ask.of(stranger) for ask in tried))
    for ask, (status, seen) in zip(tried, answers, strict=True):
        assert status in ((200, 403, 404) if ask.verb == "get" else (403, 404)), f"{ask} answered {status}: {seen}"
        told = set(things.values()) & ids_in(seen)
        assert status != 200 or not told, f"{ask} shows {told}"
    assert await everything(studio.owner) == before


@pytest.mark.parametrize("token", ["nonsense", "e30.e30.", "a.b.c"])
async def test_without_a_good_token_every_door_is_shut(studio: Studio, token: str) -> None:
    stranger = studio.caller(token)
    any_id = dict.fromkeys((*MEANT_BY, *MEANT_BY.values(), *_names()), str(studio.business_id))
    for verb, path in ENDPOINTS:
        if path != NOT_OURS_TO_CALL:
            ask = right(studio, any_id, verb, path)
            status, seen = await ask.of(stranger)
            assert status == 401, f"{ask} answered {status}: {seen}"


def _names() -> set[str]:
    """The names of all path parameters."""
    return {part[1:-1] for _, path in ENDPOINTS for part in path.split("/") if part.startswith("{")}
