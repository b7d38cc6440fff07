"""Rows and facts as the rules of directdebit see them, made without any server."""

import itertools
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from services.directdebit.tables.callbacks import Kind, MandateKind, ProviderFact
from services.directdebit.tables.collections import Collection
from services.directdebit.tables.debits import Debit, DebitItem
from services.directdebit.tables.mandates import Mandate, MandateState
from shared.ids import new_id

AT = datetime(2022, 9, 27, 0, 0, tzinfo=UTC)
INSTALMENT, PAYER = new_id(), new_id()


def a_mandate(state: MandateState = "active") -> Mandate:
    return Mandate(mandate_id=new_id(), payer_id=PAYER, provider_mandate="MD123", state=state)


def a_collection(**changes: Any) -> Collection:
    usual = {
        "instalment_id": INSTALMENT,
        "version": 1,
        "target_minor": 30000,
        "currency": "AUD",
        "payer_id": PAYER,
        "collect_date": date(2022, 9, 27),
    }
    return Collection(**usual | changes)


def a_debit(state: str = "submitted", provider_ref: str | None = "PM1", **changes: Any) -> Debit:
    """A debit with an item of 300.00, and one more for each instalment of `beside`."""
    debit_id = changes.pop("debit_id", new_id())
    instalments: list[UUID] = [INSTALMENT, *changes.pop("beside", [])]
    usual = {
        "amount_minor": 30000 * len(instalments),
        "currency": "AUD",
        "charge_date": date(2022, 9, 27),
        "payer_id": PAYER,
        "sequence": 1,
        "final": False,
    }
    debit = Debit(debit_id=debit_id, state=state, provider_ref=provider_ref, **usual | changes)
    for instalment_id in instalments:
        item = DebitItem(debit_id=debit_id, instalment_id=instalment_id, amount_minor=30000, attempt_no=1, version=1)
        item.live = debit.live
        debit.items.append(item)
    return debit


_numbers = itertools.count()


def a_fact(
    kind: Kind | MandateKind, seconds: int = 0, *, cause: str | None = None, ref: str = "PM1", action: str = ""
) -> ProviderFact:
    bad = kind in ("failed", "charged_back")
    return ProviderFact(
        fact_id=new_id(),
        event_id=f"EV{next(_numbers):06}",
        kind=kind,
        action=action or kind,
        provider_ref=ref,
        cause=cause or ("insufficient_funds" if bad else None),
        reason_class="soft" if bad and cause is None else "hard" if bad else None,
        ends_mandate=cause == "bank_account_closed",
        occurred_at=AT + timedelta(seconds=seconds),
        business_date=date(2022, 9, 27),
    )
