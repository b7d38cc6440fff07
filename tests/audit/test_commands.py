"""The audit of a whole system, as it runs each night: what it reads, what it says, and how it ends."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from deploy.audit import auditing
from deploy.audit.__main__ import database_urls, main
from deploy.audit.books import Books
from deploy.audit.findings import Finding
from deploy.audit.reading import SERVICES, read_shelf
from deploy.audit.report import Report
from shared.ids import new_id
from tests.audit.corrupting import Bench

URLS = {f"PUNCHCARD_DATABASE_URL__{name.upper()}": f"postgresql://{name}@localhost/{name}" for name in SERVICES}


def test_the_databases_are_those_of_the_services(tmp_path: Path) -> None:
    secret = tmp_path / "punchcard_database_url__billing"
    secret.write_text("postgresql://secret@localhost/billing\n")
    given = {name: url for name, url in URLS.items() if not name.endswith("BILLING")}
    assert set(database_urls(URLS, None)) == set(SERVICES)
    assert database_urls(given, None).keys() == set(SERVICES) - {"billing"}
    assert database_urls(given, tmp_path)["billing"] == "postgresql://secret@localhost/billing"
    assert database_urls(URLS, tmp_path)["billing"].startswith("postgresql://billing@")


async def audited(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str]]:
    """How an audit ends, and the lines that it says."""
    code = await asyncio.to_thread(main, ["--again-after", "0.1", *arguments])
    return code, capsys.readouterr().out.splitlines()


@pytest.mark.servers
@pytest.mark.xdist_group("audit")
@pytest.mark.timeout(600)
async def test_a_system_is_audited_and_an_event_that_is_gone_is_named(
    season: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, url in season.database_urls.items():
        monkeypatch.setenv(f"PUNCHCARD_DATABASE_URL__{name.upper()}", url)
    log = tmp_path / "log.json"
    assert season.books.bank_log
    log.write_text(json.dumps({"payments": season.books.bank_log.payments}))
    code, said = await audited(capsys, "--bank-log", str(log), "--grace", "0")
    assert code == 0, said
    assert [line.partition(" ")[0] for line in said] == ["compared", "sessions", "AUD", "findings"]
    assert f"1 businesses, {season.books.counted['deliveries']} deliveries" in said[0]
    gone = next(season.books.told("packages.sold.v1"))
    assert await _moved(season, gone.event_id, "event_log", "gone") == 1
    code, said = await audited(capsys)
    assert await _moved(season, gone.event_id, "gone", "event_log") == 1
    assert code == 1
    assert any(line.startswith("-") and str(gone.event_id) in line for line in said)
    assert any("packages.sold.v1" in line and gone.subject in line for line in said)


@pytest.mark.servers
@pytest.mark.xdist_group("audit")
async def test_an_invariant_is_asked_inside_the_business_whoever_asks(season: Bench) -> None:
    """A superuser is under no row-level security: as one, too, the audit sees what the service itself would see."""
    of_this, of_another = season.books.business_id, new_id()
    async with season.engines["packages"].connect() as connection:
        await connection.execute(text("update packages set allocated = allocated + 1"))
        ours = await read_shelf(connection, "packages", of_this)
        theirs = await read_shelf(connection, "packages", of_another)
        await connection.rollback()
    assert len(ours.offenders["a balance differs from its ledger"]) == len(ours.tables["packages"])
    assert not any(theirs.offenders.values())


async def _moved(season: Bench, event_id: UUID, source: str, target: str) -> int:
    """Move an event out of the log of packages, or back; how many were moved."""
    async with season.engines["packages"].begin() as connection:
        await connection.execute(text("create table if not exists gone (like event_log)"))
        move = f"with moved as (delete from {source} where event_id = :id returning *) insert into {target} table moved"
        return (await connection.execute(text(move), {"id": event_id})).rowcount


async def test_what_is_wrong_is_found_again_though_its_number_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sum that is wrong by three stays wrong by three while the business goes on."""
    looks = iter([[_wrong("10", "7")], [_wrong("12", "9"), _wrong("1", "0", about="something on its way")]])
    business_id = new_id()

    async def businesses(_: object) -> list[UUID]:
        return [business_id]

    async def read_books(*_: object, **__: object) -> Books:
        return Books(business_id, {}, {})

    async def no_bank(_: UUID) -> None:
        return None

    async def no_strangers(*_: object, **__: object) -> None:
        return None

    monkeypatch.setattr(auditing, "businesses", businesses)
    monkeypatch.setattr(auditing, "read_books", read_books)
    monkeypatch.setattr(auditing, "audit", lambda _: next(looks))
    monkeypatch.setattr(auditing, "_strangers", no_strangers)
    monkeypatch.setattr(Report, "add", lambda report, _, found: report.findings.extend((None, f) for f in found))
    report = await auditing._report({}, no_bank, 35, timedelta(), 0.01, None)
    assert [finding.found for _, finding in report.findings] == ["9"]


def _wrong(should: str, found: str, *, about: str = "invoice_counters") -> Finding:
    return Finding("altered", "billing.invoice_issued.v1", "", "billing", "billing", about, should, found)
