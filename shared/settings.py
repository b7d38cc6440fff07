"""What the environment tells a process. Every name starts with `PUNCHCARD_`; secrets may be files instead.

A missing or weak value refuses to start, and is named in the message.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from shared.sealed import Seal, key_of

DEVELOPMENT_ISSUER = "punchcard-development"


class NotConfigured(SystemExit):
    """The environment does not let this process start."""


class Settings(BaseSettings):
    """The configuration of one process; six services in one process share it."""

    model_config = SettingsConfigDict(
        env_prefix="PUNCHCARD_",
        env_nested_delimiter="__",
        extra="ignore",
        secrets_dir_missing="ok",
    )

    environment: Literal["development", "production"] = "production"
    database_url: dict[str, SecretStr] = Field(description="PUNCHCARD_DATABASE_URL__BOOKING=postgresql://… per service")
    bus_url: SecretStr = Field(description="amqp://… or local: for the embedded bus")
    bus_prefix: str = Field("", description="goes before the names of exchanges and queues on a shared broker")
    jwks: str = Field(description="a file or an https address with the public keys of the token issuer")
    token_issuer: str = Field(description="what tokens name as `iss`, such as https://issuer.example/")
    token_audience: str = "punchcard"  # noqa: S105
    provider_url: str | None = Field(None, description="the direct-debit provider's API")
    encryption_keys: list[SecretStr] = Field(
        [], description='a JSON list, the first one closes: ["…", "…"], 32 random bytes in base64 each'
    )
    smtp_url: str | None = Field(None, description="smtp://host:port, where notify hands over mail")
    mail_from: str = "no-reply@localhost"
    body_limit: int = Field(256 * 1024, description="bytes of an ordinary request body")
    pool_size: int = 5

    @model_validator(mode="after")
    def _refuse_the_weak(self) -> Self:
        for key in self.encryption_keys:
            try:
                key_of(key.get_secret_value())
            except ValueError as error:
                raise ValueError(f"PUNCHCARD_ENCRYPTION_KEYS: {error}") from None
        for name, url in self.database_url.items():
            if not url.get_secret_value().startswith("postgresql://"):
                raise ValueError(f"PUNCHCARD_DATABASE_URL__{name.upper()}: not postgresql://…")
        if not self.bus_url.get_secret_value().startswith(("amqp://", "amqps://", "local:")):
            raise ValueError("PUNCHCARD_BUS_URL: neither amqp://…, amqps://… nor local:")
        if self.environment == "production" and self.token_issuer == DEVELOPMENT_ISSUER:
            raise ValueError("PUNCHCARD_TOKEN_ISSUER: the development issuer is refused in production")
        return self

    def seal(self) -> Seal:
        """What closes secrets at rest, and opens them."""
        return Seal([key.get_secret_value() for key in self.encryption_keys])

    def need(self, service: str) -> None:
        """Refuse to start a service whose own settings are missing."""
        missing = [] if service in self.database_url else [f"PUNCHCARD_DATABASE_URL__{service.upper()}"]
        if service == "directdebit":
            missing += [
                f"PUNCHCARD_{name.upper()}" for name in ("provider_url", "encryption_keys") if not getattr(self, name)
            ]
        if service == "notify" and not self.smtp_url:
            missing.append("PUNCHCARD_SMTP_URL")
        if missing:
            raise NotConfigured(f"{service} cannot start: set {', '.join(missing)}")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, NestedSecretsSettingsSource(file_secret_settings)


class OperatorSettings(Settings):
    """What a command of an operator needs: mostly the databases alone."""

    bus_url: SecretStr = SecretStr("local:")
    jwks: str = ""
    token_issuer: str = ""


def load(secrets: Path | None = None, kind: type[Settings] = Settings) -> Settings:
    """Read the environment, and secrets from a folder of files (`punchcard_bus_url`, …) where one is given."""
    try:
        return kind(_secrets_dir=secrets)
    except ValidationError as error:
        lines = [_told(e["msg"], *e["loc"]) if e["loc"] else e["msg"] for e in error.errors()]
    except SettingsError as error:
        lines = [_told("not valid JSON", str(error).split('"')[1])]
    raise NotConfigured("Punchcard cannot start.\n  " + "\n  ".join(lines))


def _told(message: str, field: int | str, *within: int | str) -> str:
    """Which variable is wrong, how, and what it is to hold; never what it holds."""
    name = "__".join(map(str, (field, *within))).upper()
    meant = Settings.model_fields[str(field)].description
    return f"PUNCHCARD_{name}: {message}" + (f" ({meant})" if meant else "")
