"""docker-compose.yml, the Dockerfile and the gateway's routes keep their promises; nothing here needs Docker."""

import json
import re
import socket
import subprocess
from pathlib import Path
from typing import Any

import jwt
import pytest
import yaml  # type: ignore[import-untyped]
from starlette.routing import Match

from deploy.compose import healthy
from deploy.gateway import find
from deploy.local.running.issuer import Issuer
from services.__main__ import main
from services.directdebit.main import service as directdebit
from shared.service import LEAVING_SECONDS
from shared.settings import Settings, load
from tests.house.sources import ROOT, SERVICES

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
ROUTES: dict[str, Any] = yaml.safe_load(find.ROUTES.read_text())["http"]
CONTAINERS: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = "punchcard:${PUNCHCARD_VERSION:-local}"
ONCE = {"databases", "dev", "operator"}
"""These end by themselves; nobody asks how they are."""


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of secrets as deploy/secrets.sh makes it."""
    folder = tmp_path_factory.mktemp("secrets")
    subprocess.run([ROOT / "deploy/secrets.sh", folder], check=True, capture_output=True)
    return folder


def settings_of(name: str) -> dict[str, str]:
    """The environment that a container is given."""
    return dict(CONTAINERS[name].get("environment", {}))


def secrets_of(name: str) -> dict[str, str]:
    """Target → source of each secret that a container is given."""
    given = CONTAINERS[name].get("secrets", [])
    return dict((each, each) if isinstance(each, str) else (each["target"], each["source"]) for each in given)


# Containers


def test_there_is_a_container_of_each_service() -> None:
    for name in SERVICES:
        assert CONTAINERS[name]["image"] == OURS
        assert CONTAINERS[name]["command"][:2] == ["run", name]


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_has_no_right_that_it_does_not_need(name: str) -> None:
    container = CONTAINERS[name]
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert container["user"] not in ("root", "0", "0:0")
    assert container["mem_limit"]
    assert not {"privileged", "cap_add", "pid", "network_mode"} & container.keys()
    assert not any("docker.sock" in str(volume) for volume in container.get("volumes", []))


@pytest.mark.parametrize("name", sorted(CONTAINERS.keys() - ONCE))
def test_a_container_that_stays_says_how_it_is(name: str) -> None:
    assert CONTAINERS[name]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_for_what_it_needs_and_has_time_to_leave(name: str) -> None:
    assert CONTAINERS[name]["depends_on"] == {
        "databases": {"condition": "service_completed_successfully"},
        "rabbitmq": {"condition": "service_healthy"},
    }
    assert CONTAINERS[name]["stop_grace_period"] == f"{LEAVING_SECONDS}s"


def test_only_the_gateway_and_the_pages_are_published_and_on_this_machine_alone() -> None:
    published = {name: ports for name, container in CONTAINERS.items() for ports in container.get("ports", [])}
    assert published.keys() == {"gateway", "bank", "mail"}
    assert all(port.startswith("127.0.0.1:") for port in published.values())


def test_the_gateway_does_not_reach_databases_and_broker() -> None:
    assert COMPOSE["networks"]["back"] == {"internal": True}
    assert CONTAINERS["gateway"]["networks"] == ["front"]
    assert CONTAINERS["postgres"]["networks"] == CONTAINERS["rabbitmq"]["networks"] == ["back"]


# Settings and secrets


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_setting_is_one_that_there_is(name: str) -> None:
    ours = [each for each in (*settings_of(name), *secrets_of(name)) if each.upper().startswith("PUNCHCARD_")]
    fields = {each.upper().removeprefix("PUNCHCARD_").partition("__")[0].lower() for each in ours}
    assert fields <= Settings.model_fields.keys()


@pytest.mark.parametrize("name", CONTAINERS)
def test_no_secret_is_in_the_environment(name: str) -> None:
    for setting, value in settings_of(name).items():
        field = Settings.model_fields.get(setting.removeprefix("PUNCHCARD_").lower())
        assert field is None or "Secret" not in str(field.annotation) or value == "local:"
        assert setting.endswith("_FILE") or not re.search("PASS|SECRET|TOKEN(?!_ISSUER)|KEY", setting)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_can_open_its_own_database_and_no_other(name: str) -> None:
    opened = {target for target in secrets_of(name) if "database_url" in target}
    assert opened == {f"punchcard_database_url__{name}"}
    assert ("punchcard_encryption_keys" in secrets_of(name)) == (name == "directdebit")


def test_every_secret_is_made_and_closed_to_others(secrets: Path) -> None:
    made = {file.relative_to(secrets).as_posix() for file in secrets.rglob("*") if file.is_file()}
    named = {secret["file"].removeprefix("deploy/secrets/") for secret in COMPOSE["secrets"].values()}
    assert made == named | {"issuer/issuer.pem"}
    assert secrets.stat().st_mode & 0o077 == 0
    used = {source for name in CONTAINERS for source in secrets_of(name).values()}
    assert used == COMPOSE["secrets"].keys()


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_starts_with_what_its_container_is_given(
    name: str, secrets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for target, source in secrets_of(name).items():
        file = COMPOSE["secrets"][source]["file"].removeprefix("deploy/secrets/")
        (tmp_path / target).write_bytes((secrets / file).read_bytes())
    for setting, value in settings_of(name).items():
        monkeypatch.setenv(setting, re.sub(r"\$\{\w+:-(.*)\}", r"\1", value))
    settings = load(tmp_path)
    settings.need(name)
    assert settings.jwks == "/run/secrets/jwks.json"
    assert settings.bus_url.get_secret_value().startswith("amqp://punchcard:")


def test_secrets_that_are_there_stay(secrets: Path) -> None:
    before = {file: file.read_bytes() for file in secrets.rglob("*") if file.is_file()}
    (secrets / "encryption_keys").unlink()
    subprocess.run([ROOT / "deploy/secrets.sh", secrets], check=True, capture_output=True)
    renewed = [file.name for file, content in before.items() if file.read_bytes() != content]
    assert renewed == ["encryption_keys"]


def test_the_keys_that_are_made_sign_and_check_tokens(secrets: Path) -> None:
    public = (secrets / "issuer" / "jwks.json").read_bytes()
    token = Issuer(secrets / "issuer")._sign(sub="somebody")
    (key,) = jwt.PyJWKSet.from_json(public.decode()).keys
    assert jwt.decode(token, key, algorithms=["EdDSA"], audience="punchcard")["sub"] == "somebody"
    assert (secrets / "issuer" / "jwks.json").read_bytes() == public  # in a container it may not be written


# The image


def test_the_dockerfile_needs_no_other_builder_and_ends_without_root() -> None:
    text = (ROOT / "deploy/Dockerfile").read_text()
    assert not re.search(r"^#\s*syntax=|^RUN --mount", text, re.MULTILINE)
    stage = text.partition("AS services")[2].partition("FROM services")[0]
    assert re.findall(r"^USER (.+)$", stage, re.MULTILINE) == ["10001:10001"]
    assert all("--require-hashes" in line for line in text.splitlines() if re.search(r"\bpip\b.* install", line))


def test_what_is_not_named_does_not_get_into_an_image() -> None:
    first, *lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert first == "*"
    assert "deploy/secrets" in lines
    assert "!tests" not in lines


def test_a_container_is_unhealthy_while_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(healthy, "HERE", "http://127.0.0.1:1")
    with pytest.raises(SystemExit, match="refused"):
        healthy.main()


def test_an_argument_may_be_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An administrator's URL on a command line could be read by everybody on the machine."""
    file = tmp_path / "url"
    file.write_text("--help\n")
    with pytest.raises(SystemExit):
        main(["databases", f"@{file}"])
    assert "admin_url" in capsys.readouterr().out


# The gateway


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_offers_is_routed_to_it_and_no_more(name: str) -> None:
    router = ROUTES["routers"][name]
    assert router["service"] == name
    reached = re.findall(r"(\w+)\(`([^`]+)`\)", router["rule"])
    assert reached == [("PathPrefix", f"/{name}/v1/"), ("Path", f"/{name}/docs"), ("Path", f"/{name}/openapi.json")]


def test_nothing_else_is_routed_but_the_callbacks_of_the_provider() -> None:
    changes = {name for name in ROUTES["routers"] if name.endswith("-changes")}
    assert ROUTES["routers"].keys() == {*SERVICES, *changes, "callbacks"}
    for name in changes:
        service = name.removesuffix("-changes")
        assert ROUTES["routers"][name]["rule"].startswith(f"PathPrefix(`/{service}/v1/`) && (Method(")
    rule = ROUTES["routers"]["callbacks"]["rule"]
    pattern = re.search(r"PathRegexp\(`([^`]+)`\)", rule)
    assert pattern
    path = "/directdebit/v1/providers/01a20331-c640-7a93-aca1-72bce816d403/callbacks"
    assert re.search(pattern[1], path)
    assert not re.search(pattern[1], path + "/more")
    scope = {"type": "http", "method": "POST", "path": path.removeprefix("/directdebit"), "headers": []}
    assert any(route.matches(scope)[0] is Match.FULL for route in directdebit.app().routes)


def test_bodies_have_the_limits_of_the_services() -> None:
    limit = {
        name: each["buffering"]["maxRequestBodyBytes"] for name, each in ROUTES["middlewares"].items() if "body" in name
    }
    assert limit == {"body": Settings.model_fields["body_limit"].default, "long-body": directdebit.body_limit}


def test_every_middleware_that_is_named_is_there() -> None:
    named = {each for router in ROUTES["routers"].values() for each in router["middlewares"]}
    chained = {each for one in ROUTES["middlewares"].values() for each in one.get("chain", {}).get("middlewares", [])}
    assert named | chained == ROUTES["middlewares"].keys()


def test_the_gateway_is_told_of_each_replica(tmp_path: Path) -> None:
    find.tell(tmp_path, {"billing": ["http://10.0.0.1:8000", "http://10.0.0.2:8000"], "notify": []})
    told = yaml.safe_load((tmp_path / "servers.yml").read_text())["http"]["services"]
    balancer = told["billing"]["loadBalancer"]
    assert [server["url"] for server in balancer["servers"]] == ["http://10.0.0.1:8000", "http://10.0.0.2:8000"]
    assert balancer["healthCheck"]["path"] == "/billing/health/ready"
    assert balancer["serversTransport"] in ROUTES["serversTransports"]
    assert told["notify"]["loadBalancer"]["servers"] == []  # it is there, and answers 503


def test_only_replicas_that_listen_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    known = ["10.0.0.2", "10.0.0.3", "10.0.0.1"]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [(None, None, 0, "", (host, 8000)) for host in known])
    monkeypatch.setattr(find, "listens", lambda host: host != "10.0.0.3")
    assert find.replicas_of("billing") == ["http://10.0.0.1:8000", "http://10.0.0.2:8000"]


@pytest.mark.parametrize(
    ("now", "before", "told", "found"),
    [
        (["a"], ["a", "b"], ["a", "b"], ["a", "b"]),
        (["a"], ["a"], ["a", "b"], ["a"]),
        (None, ["a"], ["a", "b"], ["a", "b"]),
        (["a", "c"], ["a"], ["a"], ["a", "c"]),
    ],
    ids=["missed once", "missed twice", "no answer", "new"],
)
def test_one_silent_look_is_not_believed(
    now: list[str] | None, before: list[str], told: list[str], found: list[str]
) -> None:
    assert find.believed(now, before, told) == found


@pytest.mark.parametrize("name", SERVICES)
def test_what_has_no_key_is_never_sent_again(name: str) -> None:
    paths = json.loads((ROOT / "docs" / "openapi" / f"{name}.json").read_text())["paths"]
    changes = {verb for operations in paths.values() for verb in operations if verb in ("put", "patch", "delete")}
    router = ROUTES["routers"].get(f"{name}-changes")
    assert bool(changes) == (router is not None)
    if router:
        assert "again" not in ROUTES["middlewares"][router["middlewares"][0]]["chain"]["middlewares"]
        assert all(f"Method(`{verb.upper()}`)" in router["rule"] for verb in changes)


def test_all_services_are_looked_for() -> None:
    assert set(find.SERVICES) == set(SERVICES)
