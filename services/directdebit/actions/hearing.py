"""Callbacks: stored with their facts, then folded into the debits and mandates that they are about."""

from dataclasses import asdict, replace
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import exists, func, select
from sqlalchemy.dialects.postgresql import insert

from services.directdebit.actions import alone, alone_with_payer, become, end_mandate, lock, next_dates
from services.directdebit.bank import Heard, Said, Unknown
from services.directdebit.rules import folding
from services.directdebit.tables.callbacks import Delivery, Folded, Parked, ProviderFact
from services.directdebit.tables.debits import Debit, DebitIdentified, DebitItem, SettlementDated
from services.directdebit.tables.mandates import Mandate
from shared.database import Db
from shared.errors import NotFound
from shared.events.directdebit import DebitSettled
from shared.ids import new_id
from shared.log import log
from shared.work import schedule


async def take_delivery(db: Db, raw: bytes, heard: Heard) -> None:
    """Store a callback and its facts, and leave the folding as work. What is here already is not stored again."""
    of_business = {"business_id": db.context.business_id}
    row = {"delivery_id": new_id(), "sha256": sha256(raw).digest(), "body": raw, "trouble": heard.trouble}
    stored = insert(Delivery).values(**of_business, **row, business_date=db.today).on_conflict_do_nothing()
    delivery_id = await db.scalar(stored.returning(Delivery.delivery_id))
    if delivery_id is None:
        return
    if heard.trouble:
        log.error("poisoned_callback", delivery_id=delivery_id, trouble=heard.trouble)
    date_of = db.business.clock.date_of
    facts = [
        {
            **of_business,
            **asdict(notice),
            "fact_id": new_id(),
            "delivery_id": delivery_id,
            "business_date": date_of(notice.occurred_at),
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
    """Let a fact of the provider, and all that came with it about the same thing, count for its debit or mandate."""
    fact = await db.get(ProviderFact, fact_id)
    if fact is None or fact.provider_ref is None or fact.state not in ("received", "parked"):
        return
    await alone(db, "payment", fact.provider_ref)
    of_mandate = fact.resource == "mandates"
    owner = await (_mandate_of(db, fact) if of_mandate else _debit_of(db, fact))
    if owner is None:
        fact.apply(Parked())
        log.error("callback_parked", fact_id=fact_id, provider_ref=fact.provider_ref)
    elif of_mandate:
        await _fold_mandate(db, owner, fact)
    else:
        await alone_with_payer(db, owner)
        debit = await lock(db, owner)
        await _own_facts(db, fact, Folded(debit_id=owner))
        if debit.provider_ref is None:
            debit.apply(DebitIdentified(fact.provider_ref))
        await let_follow(db, debit)


async def let_follow(db: Db, debit: Debit) -> None:
    """Let a debit that is locked be what its facts say, on the provider's own date."""
    facts = (await db.scalars(select(ProviderFact).where(ProviderFact.debit_id == debit.debit_id))).all()
    decided = folding.fold(facts)[1]
    if decided:
        db.context = replace(db.context, business_date=decided.business_date)
    again = {}
    if decided and decided.reason_class:
        again = await next_dates(db, debit, decided.business_date, soft=decided.reason_class == "soft")
    change = folding.follow(debit, facts, another_is_live=await _another_is_live(db, debit), next_dates=again)
    if change is None:
        return
    if isinstance(change, DebitSettled):
        debit.apply(SettlementDated(db.today))
    await become(db, debit, change)
    if folding.ends_mandate(change, decided):
        await end_mandate(db, debit.mandate_id, "cancelled")


async def _fold_mandate(db: Db, mandate_id: UUID, fact: ProviderFact) -> None:
    mandate = await db.get_one(Mandate, mandate_id)
    await alone(db, "payer", mandate.payer_id)
    mandate = await db.get_one(Mandate, mandate_id, with_for_update=True, populate_existing=True)
    await _own_facts(db, fact, Folded(mandate_id=mandate_id))
    facts = (await db.scalars(select(ProviderFact).where(ProviderFact.mandate_id == mandate_id))).all()
    others = exists().where(
        Mandate.payer_id == mandate.payer_id, Mandate.state == "active", Mandate.mandate_id != mandate_id
    )
    change = folding.follow_mandate(mandate, facts, another_is_active=bool(await db.scalar(select(others))))
    if change:
        mandate.apply(change)


async def _debit_of(db: Db, fact: ProviderFact) -> UUID | None:
    """The debit of this business that a fact is about: the one it names, and no other has its payment."""
    by_payment = await db.scalar(select(Debit.debit_id).where(Debit.provider_ref == fact.provider_ref))
    if fact.named_id is None:
        return by_payment
    by_name = await db.scalar(select(Debit.debit_id).where(Debit.debit_id == fact.named_id))
    return None if by_payment and by_payment != by_name else by_name


async def _mandate_of(db: Db, fact: ProviderFact) -> UUID | None:
    """The newest mandate of this business that has this name at the provider."""
    named = select(Mandate.mandate_id).where(Mandate.provider_mandate == fact.provider_ref)
    return await db.scalar(named.order_by(Mandate.mandate_id.desc()).limit(1))


async def _own_facts(db: Db, fact: ProviderFact, folded: Folded) -> None:
    """All facts that name the same payment and the same debit count for it: who owns one, owns all."""
    alike = select(ProviderFact).where(
        ProviderFact.provider_ref == fact.provider_ref,
        ProviderFact.named_id.is_not_distinct_from(fact.named_id),
        ProviderFact.state.in_(("received", "parked")),
        ProviderFact.kind.is_not(None),
    )
    for each in (await db.scalars(alike.with_for_update())).all():
        each.apply(folded)
    await db.flush()


async def _another_is_live(db: Db, debit: Debit) -> bool:
    instalments = [item.instalment_id for item in debit.items]
    others = exists().where(
        DebitItem.instalment_id.in_(instalments), DebitItem.live, DebitItem.debit_id != debit.debit_id
    )
    return bool(await db.scalar(select(others)))


ASKED_ABOUT = ("contradiction", "another_is_live")


async def in_question(db: Db, debit_id: UUID) -> str | None:
    """The payment of a debit of which it is to be asked how it stands; None where that is clear by now."""
    debit = await db.get(Debit, debit_id)
    return debit.provider_ref if debit and debit.review in ASKED_ABOUT else None


async def take_answer(db: Db, debit_id: UUID, provider_ref: str, answer: Said | Unknown) -> None:
    """What the provider says when it is asked is one more fact, about all that it has told so far."""
    await alone(db, "payment", provider_ref)
    await alone_with_payer(db, debit_id)
    debit = await lock(db, debit_id)
    newest = await db.scalar(select(func.max(ProviderFact.occurred_at)).where(ProviderFact.debit_id == debit_id))
    if debit.review not in ASKED_ABOUT or not isinstance(answer, Said):
        return
    said: dict[str, Any] = {
        "fact_id": new_id(),
        "business_id": db.context.business_id,
        "event_id": f"asked:{new_id()}",
        "resource": "payments",
        "action": answer.kind,
        "kind": answer.kind,
        "provider_ref": provider_ref,
        "ends_mandate": False,
        "occurred_at": newest or db.now,
        "business_date": db.today,
        "state": "folded",
        "debit_id": debit_id,
    }
    await db.execute(insert(ProviderFact).values(**said))
    await let_follow(db, debit)


async def find_debit(db: Db, debit_id: UUID) -> tuple[Debit, list[ProviderFact]]:
    """A debit with what the provider has told of it, in the provider's order. Raises NotFound."""
    debit = await db.get(Debit, debit_id)
    if debit is None:
        raise NotFound
    facts = select(ProviderFact).where(ProviderFact.debit_id == debit_id)
    return debit, list(await db.scalars(facts.order_by(ProviderFact.occurred_at, ProviderFact.event_id)))
