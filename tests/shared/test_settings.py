"""A process that is not told what it needs does not start, and says what is missing; secrets are never repeated."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.settings import DEVELOPMENT_ISSUER, NotConfigured, Settings, load

SECRET = "s3cr3t-and-long-enough"
KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
ENOUGH = {
    "PUNCHCARD_DATABASE_URL__BOOKING": f"postgresql://booking:{SECRET}@127.0.0.1/booking",
    "PUNCHCARD_BUS_URL": f"amqp://punchcard:{SECRET}@127.0.0.1/",
    "PUNCHCARD_JWKS": "https://issuer.example/jwks.json",
    "PUNCHCARD_TOKEN_ISSUER": "https://issuer.example/",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Just enough to start booking."""
    for name in os.environ:
        if name.startswith("PUNCHCARD_"):
            monkeypatch.delenv(name)
    for name, value in ENOUGH.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def refusal() -> str:
    with pytest.raises(NotConfigured) as raised:
        load()
    return str(raised.value)


def test_what_is_enough_is_enough_and_means_production() -> None:
    settings = load()
    settings.need("booking")
    assert settings.environment == "production"
    assert settings.database_url["booking"].get_secret_value() == ENOUGH["PUNCHCARD_DATABASE_URL__BOOKING"]


@pytest.mark.parametrize("name", ENOUGH)
def test_a_missing_value_is_named(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.delenv(name)
    assert name.partition("__")[0] in refusal()


def test_all_that_is_missing_is_named_at_once(environment: pytest.MonkeyPatch) -> None:
    for name in ENOUGH:
        environment.delenv(name)
    said = refusal()
    assert [name for name in ENOUGH if name.partition("__")[0] not in said] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PUNCHCARD_BUS_URL", f"rabbit:{SECRET}"),
        ("PUNCHCARD_BUS_URL", ""),
        ("PUNCHCARD_DATABASE_URL__BOOKING", f"mysql://booking:{SECRET}@127.0.0.1/booking"),
        ("PUNCHCARD_DATABASE_URL__BOOKING", ""),
        ("PUNCHCARD_DATABASE_URL", f"postgresql://booking:{SECRET}@127.0.0.1/booking"),
        ("PUNCHCARD_ENCRYPTION_KEYS", SECRET),
        ("PUNCHCARD_ENCRYPTION_KEYS", f'["{SECRET}"]'),
        ("PUNCHCARD_ENCRYPTION_KEYS", f'["{KEY}", "{SECRET}"]'),
        ("PUNCHCARD_ENCRYPTION_KEYS", f'{{"key": "{SECRET}"}}'),
        ("PUNCHCARD_ENVIRONMENT", SECRET),
        ("PUNCHCARD_BODY_LIMIT", SECRET),
        ("PUNCHCARD_POOL_SIZE", SECRET),
        ("PUNCHCARD_TOKEN_ISSUER", DEVELOPMENT_ISSUER),
    ],
)
def test_a_weak_or_wrong_value_is_named_and_not_repeated(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    environment.setenv(name, value)
    said = refusal()
    assert name in said
    assert SECRET not in said


def test_the_development_issuer_is_for_development(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PUNCHCARD_TOKEN_ISSUER", DEVELOPMENT_ISSUER)
    environment.setenv("PUNCHCARD_ENVIRONMENT", "development")
    assert load().token_issuer == DEVELOPMENT_ISSUER


@pytest.mark.parametrize(
    ("service", "named"),
    [
        ("booking", []),
        ("billing", ["PUNCHCARD_DATABASE_URL__BILLING"]),
        (
            "directdebit",
            ["PUNCHCARD_DATABASE_URL__DIRECTDEBIT", "PUNCHCARD_PROVIDER_URL", "PUNCHCARD_ENCRYPTION_KEYS"],
        ),
        ("notify", ["PUNCHCARD_DATABASE_URL__NOTIFY", "PUNCHCARD_SMTP_URL"]),
    ],
)
def test_a_service_names_what_it_alone_needs(service: str, named: list[str]) -> None:
    if not named:
        load().need(service)
        return
    with pytest.raises(NotConfigured) as raised:
        load().need(service)
    said = str(raised.value)
    assert said.startswith(f"{service} cannot start")
    assert [name for name in named if name not in said] == []
    assert SECRET not in said


def test_secrets_may_be_files(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PUNCHCARD_BUS_URL", "PUNCHCARD_DATABASE_URL__BOOKING"):
        environment.delenv(name)
    (tmp_path / "punchcard_bus_url").write_text("amqps://from-a-file/\n")
    (tmp_path / "punchcard_database_url__booking").write_text("postgresql://from-a-file/booking\n")
    (tmp_path / "punchcard_database_url__billing").write_text("postgresql://from-a-file/billing\n")
    (tmp_path / "punchcard_encryption_keys").write_text(f'["{KEY}"]\n')
    settings = load(tmp_path)
    assert settings.bus_url.get_secret_value() == "amqps://from-a-file/"
    assert {name: url.get_secret_value() for name, url in settings.database_url.items()} == {
        "booking": "postgresql://from-a-file/booking",
        "billing": "postgresql://from-a-file/billing",
    }
    assert [key.get_secret_value() for key in settings.encryption_keys] == [KEY]


def test_a_wrong_value_in_a_file_is_named_and_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "punchcard_encryption_keys").write_text(SECRET)
    with pytest.raises(NotConfigured) as raised:
        load(tmp_path)
    assert "PUNCHCARD_ENCRYPTION_KEYS" in str(raised.value)
    assert SECRET not in str(raised.value)


def test_settings_do_not_show_their_secrets(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PUNCHCARD_ENCRYPTION_KEYS", f'["{KEY}"]')
    settings = load()
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert SECRET not in shown
    assert KEY not in shown


def test_every_secret_is_of_the_kind_that_hides_itself() -> None:
    telling = ("url", "key", "secret", "password", "token")
    open_ones = {"provider_url", "smtp_url", "token_issuer", "token_audience"}
    plain = {
        name
        for name, field in Settings.model_fields.items()
        if any(word in name for word in telling) and "SecretStr" not in str(field.annotation)
    }
    assert plain == open_ones


def test_one_service_alone_refuses_the_embedded_bus(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PUNCHCARD_BUS_URL", "local:")
    environment.setenv("PUNCHCARD_DATABASE_URL__BILLING", f"postgresql://billing:{SECRET}@127.0.0.1/billing")
    ended = subprocess.run(
        [sys.executable, "-m", "services", "run", "billing"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    assert "PUNCHCARD_BUS_URL" in ended.stderr
    assert SECRET not in ended.stdout + ended.stderr
