"""No account number that a test has used may be found afterwards: in no row, event, log, mail or answer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import UUID

from sqlalchemy import text

from deploy.local.running.system import System
from shared.database import Context, Database, Db

ACCOUNT_NUMBERS = ("123456789", "012345678", "987654321")
"""All that tests give to the bank or to directdebit; whoever uses another one adds it here."""

TABLES = text(
    "select c.table_name, bool_or(c.column_name = 'business_id') from information_schema.columns c"
    " join information_schema.tables t using (table_schema, table_name)"
    " where table_schema = 'public' and table_type = 'BASE TABLE' group by c.table_name order by 1"
)


def found_in(place: str, content: str) -> list[str]:
    """Where a number was found, without the number."""
    return [f"{place}: the account ending {number[-2:]}" for number in ACCOUNT_NUMBERS if number in content]


def of_files(folder: Path) -> list[str]:
    """What the files of a folder show: logs, mails."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return [line for file in files for line in found_in(str(file), file.read_text(errors="replace"))]


async def of_rows(db: Db, sought: Sequence[str] = ACCOUNT_NUMBERS) -> list[str]:
    """What the rows of the business show that a transaction has entered: events and work among them, in each table.

    What lies there as bytes is shown by PostgreSQL in hexadecimal.
    """
    found: list[str] = []
    business_id = db.context.business_id
    forms = [form for each in sought for form in (each, each.encode().hex())]
    like = " or ".join(f"t::text ilike '%{form}%'" for form in forms)
    for table, has_business in (await db.execute(TABLES)).all():
        only = f"business_id = '{business_id}' and" if has_business else ""
        rows = await db.scalar(text(f"select count(*) from {table} t where {only} ({like})"))
        found += [f"{table}: {rows} rows"] if rows else []
    return found


async def of_system(system: System, databases: Mapping[str, Database], business_id: UUID) -> list[str]:
    """What anything of a running system shows of a business: rows, logs, mails, the bank's books."""
    found: list[str] = []
    for service, database in databases.items():
        async with database.transaction() as db:
            await db.enter(Context(business_id, "service:observer"))
            found += [f"{service}: {line}" for line in await of_rows(db)]
    state = system.logs.parent
    return found + [line for folder in ("logs", "mail", "bank") for line in of_files(state / folder)]
