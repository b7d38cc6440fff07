"""What no document would lead anybody to ask: parameters that are unknown, and addresses that are none."""

from typing import Any

import httpx
import pytest

from deploy.local.running import here
from tests.contracts.conftest import World
from tests.stories.test_two_businesses import ENDPOINTS, NO_IDS, NOT_OURS_TO_CALL


def asked(world: World, verb: str, path: str, caller: str = "the owner", **params: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {world.tokens[caller]}", "Idempotency-Key": "the same for all of them"}
    address = world.url + path.format(**NO_IDS | world.things)
    return here.request(verb, address, headers=headers, params=params)


@pytest.mark.parametrize(("verb", "path"), ENDPOINTS)
def test_a_query_parameter_that_the_endpoint_does_not_know_is_named(world: World, verb: str, path: str) -> None:
    answer = asked(world, verb, path, clientid="x", limti=3)
    if path == NOT_OURS_TO_CALL:
        assert answer.status_code == 498, "a provider may say more than we know"
        return
    assert answer.status_code == 422, answer.text
    assert {error["field"] for error in answer.json()["errors"]} == {"clientid", "limti"}


def test_the_parameters_that_there_are_are_told(world: World) -> None:
    detail = asked(world, "GET", "/packages/v1/packages", clientid="x").json()["detail"]
    assert detail == "This endpoint has no parameter clientid. It has client_id, cursor, limit, state."
    assert asked(world, "GET", "/catalog/v1/business", x="").json()["detail"].endswith("parameter x. It has none.")


def test_who_may_not_ask_is_not_told_what_there_is_to_ask(world: World) -> None:
    world_of_a_stranger = World(world.url, world.studio, world.things, {"nobody": "nonsense"})
    assert asked(world_of_a_stranger, "GET", "/packages/v1/packages", "nobody", x="").status_code == 401


@pytest.mark.parametrize("path", ["/", "/packages/v1/nothing", "/nothing", "/catalog/v1/clients/a%0Ab"])
def test_an_address_that_is_none_is_a_problem_too(world: World, path: str) -> None:
    answer = asked(world, "PUT", path)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
