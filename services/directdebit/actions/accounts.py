"""The provider account of a business: kept sealed, opened to ask and to verify."""

from typing import Any

import orjson
from sqlalchemy.dialects.postgresql import insert

from services.directdebit.bank import Account
from services.directdebit.rules import NoProvider
from services.directdebit.tables.debits import ProviderAccount
from shared.database import Db
from shared.sealed import Seal


async def keep(db: Db, seal: Seal, account: Account) -> None:
    """Store a business's account, in place of the one before."""
    business_id = db.context.business_id
    sealed: dict[str, Any] = {
        "access_token": seal.close(account.token, about=f"provider token of {business_id}"),
        "callback_secrets": seal.close(
            orjson.dumps(account.secrets).decode(), about=f"callback secrets of {business_id}"
        ),
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
        seal.open(row.access_token, about=f"provider token of {business_id}"),
        tuple(orjson.loads(seal.open(row.callback_secrets, about=f"callback secrets of {business_id}"))),
    )
