"""Directdebit was restored from a backup: hold what it would send, find what it forgot, let it go on.

The provider says which payments there are, and billing what each was for. It is an operator's act, which may look into
two databases; services themselves meet only through events.
"""

from collections.abc import Mapping
from datetime import date
from uuid import UUID

from sqlalchemy import text

from services.directdebit.actions import accounts, restoring
from services.directdebit.actions.restoring import NotAdopted, Remembered, Share
from services.directdebit.bank import Made, Unknown
from services.directdebit.bank.gocardless import GoCardless
from services.directdebit.rules.errors import NoProvider
from shared.database import Context, Database
from shared.settings import Settings

SHARES = text(
    "select instalment_id, attempt_no, max(collected_minor + in_flight_minor) as amount_minor from debit_facts"
    " where debit_id = :debit_id group by instalment_id, attempt_no order by instalment_id"
)
LAST = text(
    "select sequence, code, reason_class from debit_facts where debit_id = :debit_id order by sequence desc limit 1"
)


class ProviderSilent(SystemExit):
    """The provider did not list its payments."""


async def adopt_all(
    databases: Mapping[str, Database], settings: Settings, context: Context, since: date
) -> tuple[int, list[str]]:
    """Adopt what the provider has of a business since a day and directdebit does not know.

    How many they were, and of the others what a person has to decide.
    """
    adopted, left = 0, []
    for made in await _made(databases["directdebit"], settings, context, since):
        async with databases["directdebit"].transaction(context) as db:
            known = await restoring.is_known(db, made)
        if known or made.named_id is None:
            continue
        remembered = await _remembered(databases["billing"], context, made.named_id)
        try:
            async with databases["directdebit"].transaction(context) as db:
                await restoring.adopt(db, made, remembered)
            adopted += 1
        except NotAdopted as why:
            left.append(f"{made.provider_ref}, {made.amount_minor} under {made.provider_mandate}: {why}")
    return adopted, left


async def _made(database: Database, settings: Settings, context: Context, since: date) -> list[Made]:
    """What the provider has of a business; nothing, where it has no account there. Raises ProviderSilent."""
    async with database.transaction(context) as db:
        try:
            bank = GoCardless.of(settings, await accounts.find(db, settings.seal()))
        except NoProvider:
            return []
    made = await bank.made(since)
    if isinstance(made, Unknown):
        raise ProviderSilent(
            f"The provider did not list its payments: {made.why}. What is known again stays; repeat it."
        )
    return made


async def _remembered(billing: Database, context: Context, debit_id: UUID) -> Remembered | None:
    async with billing.transaction(context) as db:
        shares = [Share(**row._mapping) for row in await db.execute(SHARES, {"debit_id": debit_id})]
        last = (await db.execute(LAST, {"debit_id": debit_id})).one_or_none()
    return Remembered(shares, **last._mapping) if last else None
