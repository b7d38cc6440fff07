"""Mandates: given at the provider's page, or registered from here; a new one lets go out what waited."""

from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, select, text
from sqlalchemy.exc import IntegrityError

from services.directdebit.actions import alone
from services.directdebit.bank import Accepted, PayerAccount, Refused, Unknown
from services.directdebit.rules import errors
from services.directdebit.tables.callbacks import ProviderFact
from services.directdebit.tables.debits import Debit, DebitMoved
from services.directdebit.tables.mandates import Client, Mandate, MandateBecame, MandateRegistered, ProviderAccount
from shared.database import Db, violates
from shared.errors import NotFound, NotYetKnown
from shared.log import log
from shared.sealed import Seal
from shared.work import schedule

RELEASE = text(
    "update collections c set next_date = greatest(collect_date, :today)"
    " where payer_id = :payer_id and not exists (select from debit_items i"
    "  join debits d using (debit_id) where i.instalment_id = c.instalment_id"
    "  and (i.live or d.state in ('claimed', 'in_review')))"
)
"""What of a payer's is neither collected nor on its way is due, whatever had failed before."""


async def record_mandate(
    db: Db, mandate_id: UUID, *, payer_id: UUID, provider_mandate: str, account_ending: str
) -> None:
    """Keep a mandate that a payer gave at the provider's page; it replaces the one before, and what waited goes out.

    Raises NotYetKnown for an unknown client, MandateInUse where it is another payer's, NoProvider where the business
    has no account to ask with.
    """
    await _prepare(db, payer_id, provider_mandate)
    await _let_go_out(db, payer_id)
    await _replace(db, Mandate.payer_id == payer_id, Mandate.state.in_(("active", "pending")))
    await _add(db, mandate_id, payer_id, account_ending, provider_mandate=provider_mandate, state="active")
    await _move_listed(db, payer_id, mandate_id)
    await fold_parked(db, provider_mandate)


async def register(db: Db, mandate_id: UUID, *, payer_id: UUID, account: PayerAccount, seal: Seal) -> None:
    """Keep a payer's account, sealed, until the provider has made a mandate of it (CC-20). Raises as `record_mandate`.

    The mandate before stays active until then.
    """
    await _prepare(db, payer_id)
    await _replace(db, Mandate.payer_id == payer_id, Mandate.state == "pending")
    details = {"holder": account.holder, "branch": account.branch, "number": account.number}
    sealed = seal.close(orjson.dumps(details).decode(), about=about_account(mandate_id))
    await _add(db, mandate_id, payer_id, account.number[-2:], sealed_account=sealed, state="pending")
    await schedule(db, "register", mandate_id)


async def to_register(db: Db, mandate_id: UUID, seal: Seal) -> PayerAccount | None:
    """The account of a mandate that waits to be registered; None where there is nothing to do any more."""
    mandate = await db.get(Mandate, mandate_id)
    if mandate is None or mandate.sealed_account is None:
        return None
    details = orjson.loads(seal.open(mandate.sealed_account, about=about_account(mandate_id)))
    return PayerAccount(**details, currency=db.business.currency)


async def conclude_registration(db: Db, mandate_id: UUID, outcome: Accepted | Refused | Unknown) -> None:
    """Take in what the provider answered to a registration; its callbacks that came before the answer fold now."""
    payer_id = (await db.get_one(Mandate, mandate_id)).payer_id
    await _alone(db, payer_id, outcome.provider_ref if isinstance(outcome, Accepted) else None)
    mandate = await db.get_one(Mandate, mandate_id, populate_existing=True)
    if mandate.state != "pending":
        return
    match outcome:
        case Accepted(provider_mandate, _):
            await _let_go_out(db, payer_id)
            await _replace(db, Mandate.payer_id == payer_id, Mandate.state == "active")
            mandate.apply(MandateRegistered(provider_mandate))
            await _move_listed(db, payer_id, mandate_id)
            await fold_parked(db, provider_mandate)
        case Refused(reason):
            log.error("mandate_refused", mandate_id=mandate_id, reason=reason)
            mandate.apply(MandateBecame("failed"))


async def find_mandate(db: Db, mandate_id: UUID, *, client_id: UUID | None) -> Mandate:
    """A mandate of the business, and of the client who asks. Raises NotFound."""
    mandate = await db.get(Mandate, mandate_id)
    if mandate is None or client_id not in (None, mandate.payer_id):
        raise NotFound
    return mandate


async def fold_parked(db: Db, provider_ref: str) -> None:
    """What the provider told of something before we knew its name counts now."""
    parked = select(ProviderFact.fact_id).filter_by(provider_ref=provider_ref, state="parked")
    for fact_id in (await db.scalars(parked)).all():
        await schedule(db, "fold", fact_id)


def about_account(mandate_id: UUID) -> str:
    return f"account of mandate {mandate_id}"


async def _alone(db: Db, payer_id: UUID, provider_mandate: str | None) -> None:
    """Nobody makes debits, hears of this mandate, or changes the payer's mandates at the same time."""
    await alone(db, "run")
    if provider_mandate:
        await alone(db, "payment", provider_mandate)
    await alone(db, "payer", payer_id)


async def _prepare(db: Db, payer_id: UUID, provider_mandate: str | None = None) -> None:
    if await db.get(ProviderAccount, db.context.business_id) is None:
        raise errors.NoProvider("Put it to /directdebit/v1/provider.")
    if await db.get(Client, payer_id) is None:
        raise NotYetKnown("client", payer_id)
    await _alone(db, payer_id, provider_mandate)


async def _replace(db: Db, *which: ColumnElement[bool]) -> None:
    for before in (await db.scalars(select(Mandate).where(*which).with_for_update())).all():
        before.apply(MandateBecame("replaced"))
    await db.flush()


async def _add(db: Db, mandate_id: UUID, payer_id: UUID, account_ending: str, **given: object) -> None:
    db.add(
        Mandate(
            mandate_id=mandate_id,
            business_id=db.context.business_id,
            payer_id=payer_id,
            account_ending=account_ending,
            recorded_by=db.context.actor,
            recorded_date=db.today,
            **given,
        )
    )
    try:
        await db.flush()
    except IntegrityError as error:
        if violates(error, "one_payer_of_a_mandate"):
            raise errors.MandateInUse("provider_mandate: another payer's.", field="provider_mandate") from None
        raise


async def _let_go_out(db: Db, payer_id: UUID) -> None:
    """The next run takes what waited. Before any mandate is touched: collections are locked first."""
    await db.execute(RELEASE, {"payer_id": payer_id, "today": db.today})


async def _move_listed(db: Db, payer_id: UUID, mandate_id: UUID) -> None:
    """What is listed already goes out under the new mandate."""
    await db.flush()
    listed = select(Debit).where(Debit.payer_id == payer_id, Debit.state == "created").with_for_update()
    for debit in (await db.scalars(listed)).all():
        debit.apply(DebitMoved(mandate_id))
