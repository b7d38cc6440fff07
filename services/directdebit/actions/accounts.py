"""The provider account of a business: kept sealed, opened to ask and to verify."""

from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import exists, or_, select
from sqlalchemy.dialects.postgresql import insert

from services.directdebit.bank import Account
from services.directdebit.rules.errors import DebitsUnderWay, NewSecretFirst, NoProvider
from services.directdebit.tables.debits import Debit
from services.directdebit.tables.mandates import Mandate, ProcessBilling, ProviderAccount
from shared.database import Db
from shared.sealed import CannotOpen, Seal

UNDER_WAY = ("created", "submitting", "unknown", "submitted")


def about_token(business_id: UUID) -> str:
    return f"provider token of {business_id}"


def about_secrets(business_id: UUID) -> str:
    return f"callback secrets of {business_id}"


async def keep(db: Db, seal: Seal, account: Account, *, same_account: bool) -> None:
    """Store a business's account, in place of the one before. Raises DebitsUnderWay or NewSecretFirst.

    A debit in doubt is looked up and repeated only where it was first sent: another account would know nothing of it.
    """
    business_id = db.context.business_id
    before = await db.get(ProviderAccount, business_id, with_for_update=True)
    known = await _known_secrets(db, seal) if before else ()
    first, *second = account.secrets
    if first in known and not {*second} <= {*known}:
        raise NewSecretFirst(field="callback_secrets")
    if before and not same_account and (await find(db, seal)).token != account.token:
        under_way = select(or_(exists().where(Debit.state.in_(UNDER_WAY)), exists().where(Mandate.state == "pending")))
        if await db.scalar(under_way):
            raise DebitsUnderWay("Wait for them, or say same_account if the token is a new one of the same account.")
    sealed: dict[str, Any] = {
        "access_token": seal.close(account.token, about=about_token(business_id)),
        "callback_secrets": seal.close(orjson.dumps(account.secrets).decode(), about=about_secrets(business_id)),
    }
    row = insert(ProviderAccount).values(business_id=business_id, **sealed)
    await db.execute(row.on_conflict_do_update(index_elements=[ProviderAccount.business_id], set_=sealed))


async def find(db: Db, seal: Seal) -> Account:
    """The account of the transaction's business. Raises NoProvider."""
    business_id = db.context.business_id
    row = await db.get(ProviderAccount, business_id)
    if row is None:
        raise NoProvider
    return Account(
        seal.open(row.access_token, about=about_token(business_id)),
        tuple(orjson.loads(seal.open(row.callback_secrets, about=about_secrets(business_id)))),
    )


async def _known_secrets(db: Db, seal: Seal) -> tuple[str, ...]:
    """The callback secrets in use; none where their key is gone, and all is given anew."""
    try:
        return (await find(db, seal)).secrets
    except CannotOpen:
        return ()


async def process_billing(db: Db, how: ProcessBilling) -> None:
    """Whether what is due goes out by itself, or when a person has confirmed it (CC-33). Raises NoProvider."""
    row = await db.get(ProviderAccount, db.context.business_id, with_for_update=True)
    if row is None:
        raise NoProvider("Put it to /directdebit/v1/provider.")
    row.process_billing = how
