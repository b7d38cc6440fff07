"""After a restore: nothing is sent before what the provider has, and this database forgot, is known again.

A debit that was forgotten would be made anew, under a new id and so under a new key: the provider would take it for
another one. Its items are known to billing, which has heard of it (docs/runbooks/restore.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert

from services.directdebit.actions import alone, become, debits_of, lock
from services.directdebit.actions.hearing import let_follow
from services.directdebit.actions.sending import conclude
from services.directdebit.bank import Accepted, Made
from services.directdebit.tables import ReasonClass
from services.directdebit.tables.callbacks import Kind, ProviderFact
from services.directdebit.tables.collections import Collection, CollectionDue
from services.directdebit.tables.debits import Debit, DebitCancelled, DebitItem
from services.directdebit.tables.mandates import Mandate, ProviderAccount
from shared.database import Db
from shared.ids import new_id

WAKE = text("update work set due_at = now() where kind in ('run', 'submit') and business_id = :business_id")
BECAME: dict[Kind | None, Kind] = {
    "said_settled": "settled",
    "said_failed": "failed",
    "said_charged_back": "charged_back",
}
"""What the provider says of a payment, as the fact that it must have told; of one under way it told none."""


class SendingIsHeld(Exception):
    """After a restore nothing goes out before somebody says so; the work waits."""


class NotAdopted(Exception):
    """A person has to decide what becomes of a payment that the provider has."""


@dataclass(frozen=True)
class Share:
    """What of a debit was for one instalment."""

    instalment_id: UUID
    attempt_no: int
    amount_minor: int


@dataclass(frozen=True)
class Remembered:
    """What billing has heard of a debit: its items, and the last that was told of it."""

    items: Sequence[Share]
    sequence: int
    code: str | None
    reason_class: ReasonClass | None


async def hold(db: Db, by: str) -> None:
    """Let nothing go out to the provider until it is released."""
    await db.execute(update(ProviderAccount).values(held_by=by))


async def release(db: Db) -> None:
    """Let out what waited."""
    await db.execute(update(ProviderAccount).values(held_by=None))
    await db.execute(WAKE, {"business_id": db.context.business_id})


async def refuse_while_held(db: Db) -> None:
    """Raises SendingIsHeld."""
    held = select(ProviderAccount.held_by).where(ProviderAccount.business_id == db.context.business_id)
    if by := await db.scalar(held):
        raise SendingIsHeld(by)


async def is_known(db: Db, made: Made) -> bool:
    """Whether we know a payment of the provider's, or it never was ours."""
    if made.named_id is None:
        return True
    by_payment = select(Debit.debit_id).where(Debit.provider_ref == made.provider_ref)
    return await db.scalar(by_payment) is not None


async def adopt(db: Db, made: Made, remembered: Remembered | None) -> None:
    """Know again what the provider has: a debit that waits here as if unsent, or one that was forgotten.

    Raises NotAdopted where its mandate or what it was for is not known.
    """
    if made.named_id is None:
        raise NotAdopted("it names no debit")
    if await db.get(Debit, made.named_id) is not None:
        await conclude(db, made.named_id, Accepted(made.provider_ref, made.charge_date))
    else:
        await _remember(db, made.named_id, made, remembered)
    if kind := BECAME.get(made.says):
        await _take_fact(db, made.named_id, made, kind, remembered)
        await let_follow(db, await lock(db, made.named_id))


async def _remember(db: Db, debit_id: UUID, made: Made, remembered: Remembered | None) -> None:
    """Write a forgotten debit down as it must have been; what was made anew for the same, unsent, is called off."""
    named = select(Mandate).where(Mandate.provider_mandate == made.provider_mandate)
    mandate = await db.scalar(named.order_by(Mandate.mandate_id.desc()).limit(1))
    if mandate is None:
        raise NotAdopted(f"its mandate {made.provider_mandate} is not known: record it again")
    if remembered is None or sum(share.amount_minor for share in remembered.items) != made.amount_minor:
        raise NotAdopted("billing has not heard what it was for")
    await alone(db, "run")
    await alone(db, "payment", made.provider_ref)
    await alone(db, "payer", mandate.payer_id)
    of_business: dict[str, Any] = {"business_id": db.context.business_id, "debit_id": debit_id}
    for share in remembered.items:
        await _call_off(db, share.instalment_id)
    debit = Debit(
        **of_business,
        payer_id=mandate.payer_id,
        mandate_id=mandate.mandate_id,
        amount_minor=made.amount_minor,
        currency=db.business.currency,
        charge_date=made.charge_date or db.today,
        state="submitted",
        sequence=remembered.sequence,
        provider_ref=made.provider_ref,
        created_date=_created(made, db.today),
    )
    debit.items = [await _item(db, of_business, share) for share in remembered.items]
    db.add(debit)
    await db.flush()


def _created(made: Made, today: date) -> date:
    return min(made.charge_date or today, today)


async def _call_off(db: Db, instalment_id: UUID) -> None:
    """Raises NotAdopted where another debit of an instalment may bring money."""
    for debit in await debits_of(db, instalment_id):
        if debit.state == "created":
            await become(db, debit, DebitCancelled())
        elif debit.live:
            raise NotAdopted(f"debit {debit.debit_id} is under way for the same")


async def _item(db: Db, of_business: dict[str, Any], share: Share) -> DebitItem:
    """The part of an instalment; no run takes that again by itself."""
    collection = await db.get(Collection, share.instalment_id, with_for_update=True)
    if collection is None:
        raise NotAdopted("what billing wants collected has not been heard again: replay first")
    collection.apply(CollectionDue(None))
    return DebitItem(
        **of_business,
        instalment_id=share.instalment_id,
        amount_minor=share.amount_minor,
        attempt_no=share.attempt_no,
        version=collection.version,
        live=True,
    )


async def _take_fact(db: Db, debit_id: UUID, made: Made, kind: Kind, remembered: Remembered | None) -> None:
    """What the provider says now is one more fact, as of now: dates are counted from the day on which we know it."""
    said = {
        "fact_id": new_id(),
        "business_id": db.context.business_id,
        "event_id": f"asked:{new_id()}",
        "resource": "payments",
        "action": made.says,
        "kind": kind,
        "provider_ref": made.provider_ref,
        "cause": remembered and remembered.code,
        "reason_class": remembered and remembered.reason_class,
        "ends_mandate": False,
        "occurred_at": db.now,
        "business_date": db.today,
        "state": "folded",
        "debit_id": debit_id,
    }
    await db.execute(insert(ProviderFact).values(**said))
