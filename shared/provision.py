"""Databases and logins: one of each per service, and no service may open another's."""

from collections.abc import Mapping

import asyncpg
from sqlalchemy.engine import make_url


async def provision(admin_url: str, urls: Mapping[str, str]) -> None:
    """Create, or bring to the given password, the login role and database that each service's URL names.

    Safe to repeat. `admin_url` is a login that may create roles and databases.
    """
    admin = await asyncpg.connect(admin_url)
    try:
        for url in map(make_url, urls.values()):
            role, password, database = url.username, url.password, url.database
            exists = await admin.fetchval("select 1 from pg_roles where rolname = $1", role)
            phrase = f"select format('{'alter' if exists else 'create'} role %I login password %L', $1::text, $2::text)"
            await admin.execute(await admin.fetchval(phrase, role, password))
            if not await admin.fetchval("select 1 from pg_database where datname = $1", database):
                await admin.execute(f'create database "{database}" owner "{role}"')
            await admin.execute(f'revoke connect on database "{database}" from public')
    finally:
        await admin.close()
