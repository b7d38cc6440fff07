"""A payer who is erased: what is kept of their account goes; mandates, debits and what the provider told stay."""

from uuid import UUID

from sqlalchemy import select, text

from services.directdebit.actions import alone
from services.directdebit.tables.mandates import Mandate, MandateBecame
from shared.database import Db
from shared.erasing import scrub

NO_ENDING = "00"
FORGET_ENDINGS = text("update mandates set account_ending = :no_ending where payer_id = :payer_id").bindparams(
    no_ending=NO_ENDING
)
FORGET_CALLBACKS = text(
    "update deliveries d set body = '' where body <> '' and trouble is null"
    " and exists (select from provider_facts f left join debits using (debit_id)"
    "  left join mandates m on m.mandate_id = f.mandate_id where f.delivery_id = d.delivery_id"
    "  and :payer_id in (debits.payer_id, m.payer_id))"
    " and not exists (select from provider_facts f where f.delivery_id = d.delivery_id"
    "  and f.state in ('received', 'parked'))"
)
"""The bytes of callbacks about them, and of whoever came in the same one; their facts stay."""


async def forget_payer(db: Db, payer_id: UUID) -> None:
    """Keep nothing of an erased payer's account. A registration that waits ends: who would it be asked for?

    An active mandate stays: it holds no name, and what is owed is collected under it.
    """
    await scrub(db, payer_id)
    await alone(db, "payer", payer_id)
    pending = select(Mandate).where(Mandate.payer_id == payer_id, Mandate.state == "pending").with_for_update()
    for mandate in (await db.scalars(pending)).all():
        mandate.apply(MandateBecame("failed"))
    await db.flush()
    await db.execute(FORGET_ENDINGS, {"payer_id": payer_id})
    await db.execute(FORGET_CALLBACKS, {"payer_id": payer_id})
