"""All that lies sealed, closed once more under the first key, while it is being read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import InstrumentedAttribute

from services.directdebit.actions.accounts import about_secrets, about_token
from services.directdebit.actions.mandates import about_account
from services.directdebit.tables.mandates import Mandate, ProviderAccount
from shared.database import Db
from shared.log import log
from shared.sealed import CannotOpen, Seal


@dataclass
class Rotated:
    """How many are closed anew, and how many could not be opened and are as they were."""

    renewed: int = 0
    refused: int = 0


@dataclass(frozen=True)
class Sealed:
    """A column of sealed values, by what key its rows are found, and what each of them is about."""

    value: InstrumentedAttribute[Any]
    key: InstrumentedAttribute[UUID]
    about: Callable[[UUID], str]


SEALED = (
    Sealed(ProviderAccount.access_token, ProviderAccount.business_id, about_token),
    Sealed(ProviderAccount.callback_secrets, ProviderAccount.business_id, about_secrets),
    Sealed(Mandate.sealed_account, Mandate.mandate_id, about_account),
)


async def rotate(db: Db, seal: Seal, rotated: Rotated) -> None:
    """Close under the first key what the business has sealed under others.

    No row is locked before it is written, and none is written that somebody has changed meanwhile: that one is closed
    by a process that knows the new keys, or is found the next time.
    """
    for sealed in SEALED:
        rows = await db.execute(select(sealed.key, sealed.value).where(sealed.value.is_not(None)).order_by(sealed.key))
        for key, old in rows.all():
            if not seal.is_old(old):
                continue
            try:
                new = seal.renew(old, about=sealed.about(key))
            except CannotOpen:
                log.error("cannot_open", column=str(sealed.value), key=key)
                rotated.refused += 1
                continue
            row = update(sealed.value.class_).where(sealed.key == key, sealed.value == old)
            changed = await db.execute(row.values({sealed.value: new}).returning(sealed.key))
            rotated.renewed += len(changed.all())
