"""The generated pages are fresh, the cards are true, and the migrations make the tables that the code declares."""

import ast
import json
import re
from collections.abc import AsyncIterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.schema import MetaData

from deploy.local.docs import pages, published
from deploy.local.servers import ROOT
from services.__main__ import SERVICES
from shared.migrations import migrate
from shared.plumbing import plumbing
from tests.harness.databases import Databases


def test_the_generated_pages_are_fresh() -> None:
    stale = [str(path.relative_to(ROOT)) for path, content in pages().items() if _read(path) != content]
    assert stale == [], "run ./dev docs and commit what it writes"


def _read(path: object) -> str | None:
    return path.read_text() if path.exists() else None  # type: ignore[attr-defined]


def said(card: str, word: str) -> set[str]:
    """The event names behind a word of a card: `Handles: a.b, c.d.`"""
    match = re.search(rf"^{word}: (.*?)\.$", card, re.MULTILINE | re.DOTALL)
    return set(re.findall(r"[a-z]+\.[a-z_]+", match[1])) if match else set()


@pytest.mark.parametrize("name", SERVICES)
def test_a_card_says_what_its_service_hears_and_tells(name: str) -> None:
    card = ast.get_docstring(ast.parse((ROOT / "services" / name / "__init__.py").read_text())) or ""
    heard = {kind.removesuffix(".v1") for kind in SERVICES[name].subscriptions}
    told = {event.type.removesuffix(".v1") for event in published()[name]}
    assert re.search(r"^Owns: ", card, re.MULTILINE)
    assert said(card, "Handles") == heard
    assert said(card, "Publishes") == told


def test_every_event_that_is_heard_is_told_by_somebody() -> None:
    told = {event.type for events in published().values() for event in events}
    heard = {kind for service in SERVICES.values() for kind in service.subscriptions}
    assert heard <= told


@pytest.fixture
async def made(databases: Databases) -> AsyncIterator[Databases]:
    await databases.make(*SERVICES)
    yield databases


@pytest.mark.servers
@pytest.mark.parametrize("name", SERVICES)
async def test_migrations_make_the_tables_that_the_code_declares(made: Databases, name: str) -> None:
    url = made.url(name)
    await migrate(name, url)
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1))
    async with engine.connect() as connection:
        differences = await connection.run_sync(_differences, SERVICES[name].tables)
    await engine.dispose()
    assert differences == []


def _differences(connection: Connection, tables: MetaData) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_server_default": True})
    return list(compare_metadata(context, _with_plumbing(tables)))


def _with_plumbing(tables: MetaData) -> MetaData:
    whole = MetaData(naming_convention=tables.naming_convention)
    for metadata in (plumbing, tables):
        for table in metadata.tables.values():
            table.to_metadata(whole)
    return whole


@pytest.mark.servers
@pytest.mark.parametrize("name", SERVICES)
async def test_every_business_table_has_the_second_lock(made: Databases, name: str) -> None:
    await migrate(name, made.url(name))
    engine = create_async_engine(made.url(name).replace("postgresql://", "postgresql+asyncpg://", 1))
    async with engine.connect() as connection:
        rows = await connection.exec_driver_sql(
            "select relname from pg_class where relkind = 'r' and relrowsecurity and relforcerowsecurity"
        )
        locked = set(rows.scalars())
    await engine.dispose()
    assert {table.name for table in SERVICES[name].tables.tables.values()} == locked


def test_every_post_asks_for_its_key_and_every_answer_may_be_a_problem() -> None:
    document = json.loads((ROOT / "docs" / "openapi.json").read_text())
    for path, item in document["paths"].items():
        for verb, endpoint in item.items():
            asks = "Idempotency-Key" in {parameter["name"] for parameter in endpoint.get("parameters", [])}
            assert asks == (verb == "post" and not path.endswith("/callbacks")), f"{verb} {path}"
            assert "application/problem+json" in endpoint["responses"]["default"]["content"], f"{verb} {path}"
