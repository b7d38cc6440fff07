"""Callbacks: stored with their facts, then folded into the debits that they are about."""

from dataclasses import asdict, replace
from hashlib import sha256
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.dialects.postgresql import insert

from services.directdebit import rules
from services.directdebit.actions import alone, become
from services.directdebit.bank import Heard
from services.directdebit.tables.callbacks import Delivery, Folded, Parked, ProviderFact
from services.directdebit.tables.debits import Debit, DebitIdentified, DebitItem, Mandate, MandateEnded
from shared.database import Db
from shared.errors import NotFound
from shared.ids import new_id
from shared.log import log
from shared.work import schedule


async def take_delivery(db: Db, raw: bytes, heard: Heard) -> None:
    """Store a callback and its facts, and leave the folding as work. What is here already is not stored again."""
    of_now = {"business_id": db.context.business_id, "business_date": db.today}
    row = of_now | {"delivery_id": new_id(), "sha256": sha256(raw).digest(), "body": raw, "trouble": heard.trouble}
    stored = insert(Delivery).values(**row).on_conflict_do_nothing().returning(Delivery.delivery_id)
    delivery_id = await db.scalar(stored)
    if delivery_id is None:
        return
    if heard.trouble:
        log.error("poisoned_callback", delivery_id=delivery_id, trouble=heard.trouble)
    facts = [
        {
            **of_now,
            **asdict(notice),
            "fact_id": new_id(),
            "delivery_id": delivery_id,
            "state": "received" if notice.kind else "ignored",
        }
        # sorted: two deliveries that share events, inserted in one order, cannot deadlock
        for notice in sorted(heard.notices, key=lambda notice: notice.event_id)
    ]
    if not facts:
        return
    new = insert(ProviderFact).values(facts).on_conflict_do_nothing()
    for row_id, state, action in await db.execute(
        new.returning(ProviderFact.fact_id, ProviderFact.state, ProviderFact.action)
    ):
        if state == "received":
            await schedule(db, "fold", row_id)
        else:
            log.warning("callback_not_understood", fact_id=row_id, action=action)


async def fold(db: Db, fact_id: UUID) -> None:
    """Let a fact of the provider, and all that came with it about the same payment, count for its debit."""
    fact = await db.get(ProviderFact, fact_id)
    if fact is None or fact.provider_ref is None or fact.state not in ("received", "parked"):
        return
    db.context = replace(db.context, business_date=fact.business_date)
    await alone(db, "payment", fact.provider_ref)
    payer_id, debit_id = await _owner(db, fact) or (None, None)
    if debit_id is None:
        fact.apply(Parked())
        log.error("callback_parked", fact_id=fact_id, provider_ref=fact.provider_ref)
        return
    await alone(db, "payer", payer_id)
    debit = await db.get_one(Debit, debit_id, with_for_update=True)
    await _count(db, debit, fact.provider_ref, fact.claimed_debit_id)
    facts = (await db.scalars(select(ProviderFact).where(ProviderFact.debit_id == debit_id))).all()
    if debit.provider_ref is None:
        debit.apply(DebitIdentified(fact.provider_ref))
    if change := rules.follow(debit, facts, another_is_live=await _another_is_live(db, debit)):
        become(db, debit, change)
    if rules.ends_mandate(change, facts):
        mandate = await db.get_one(Mandate, debit.mandate_id, with_for_update=True)
        if mandate.state == "active":
            mandate.apply(MandateEnded("cancelled"))


async def _owner(db: Db, fact: ProviderFact) -> tuple[UUID, UUID] | None:
    """The payer and the debit of this business that a fact is about: the one it names, and no other has its payment."""
    named = select(Debit.payer_id, Debit.debit_id)
    by_payment = (await db.execute(named.where(Debit.provider_ref == fact.provider_ref))).first()
    if fact.claimed_debit_id is None:
        return by_payment and (by_payment.payer_id, by_payment.debit_id)
    by_name = (await db.execute(named.where(Debit.debit_id == fact.claimed_debit_id))).first()
    if by_name is None or (by_payment and by_payment.debit_id != by_name.debit_id):
        return None
    return by_name.payer_id, by_name.debit_id


async def _count(db: Db, debit: Debit, provider_ref: str, claimed: UUID | None) -> None:
    """All facts that name the same payment and the same debit count for it: who owns one, owns all."""
    alike = select(ProviderFact).where(
        ProviderFact.provider_ref == provider_ref,
        ProviderFact.claimed_debit_id.is_not_distinct_from(claimed),
        ProviderFact.state.in_(("received", "parked")),
        ProviderFact.kind.is_not(None),
    )
    for fact in (await db.scalars(alike.with_for_update())).all():
        fact.apply(Folded(debit.debit_id))
    await db.flush()


async def _another_is_live(db: Db, debit: Debit) -> bool:
    instalments = [item.instalment_id for item in debit.items]
    others = exists().where(
        DebitItem.instalment_id.in_(instalments), DebitItem.live, DebitItem.debit_id != debit.debit_id
    )
    return bool(await db.scalar(select(others)))


async def find_debit(db: Db, debit_id: UUID) -> tuple[Debit, list[ProviderFact]]:
    """A debit with what the provider has told of it, in the provider's order. Raises NotFound."""
    debit = await db.get(Debit, debit_id)
    if debit is None:
        raise NotFound
    facts = select(ProviderFact).where(ProviderFact.debit_id == debit_id)
    return debit, list(await db.scalars(facts.order_by(ProviderFact.occurred_at, ProviderFact.event_id)))
