"""Directdebit's web door: mandates, what waits, debits; and the provider's callbacks."""

import re
from datetime import date
from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, SecretStr, StrictBool
from sqlalchemy import select

from services.directdebit.actions import accounts, collecting, hearing
from services.directdebit.bank import Account, Bank
from services.directdebit.bank.gocardless import GoCardless
from services.directdebit.rules import NoProvider, NotSigned
from services.directdebit.tables.callbacks import ProviderFact
from services.directdebit.tables.debits import (
    Collection,
    Debit,
    DebitItem,
    Mandate,
    MandateState,
    ReasonClass,
    Review,
    State,
)
from shared.database import Context, Database
from shared.errors import NotYetKnown
from shared.http import Body, Call, Page, Paging, Permitted

router = APIRouter(tags=["directdebit"])
Reader = Annotated[Call, Permitted("debit.process", "billing.tab.access")]
Keeper = Annotated[Call, Permitted("mandate.manage")]
Processor = Annotated[Call, Permitted("debit.process")]
KeeperOrClient = Annotated[Call, Permitted("mandate.manage", clients=True)]


def _printable(token: SecretStr) -> SecretStr:
    """A token must fit into a header; what is wrong with one is never said by quoting it."""
    if not re.fullmatch(r"[\x21-\x7e]{8,500}", token.get_secret_value()):
        raise ValueError("a token has 8 to 500 characters, letters, digits and signs without spaces")
    return token


class NewAccount(Body):
    """The business's own account with the provider. Both are kept sealed, and never shown again."""

    access_token: Annotated[SecretStr, AfterValidator(_printable)]
    callback_secrets: Annotated[
        list[Annotated[SecretStr, Field(min_length=16, max_length=500)]], Field(min_length=1, max_length=2)
    ]
    """Two while one is being rolled."""
    same_account: StrictBool = False
    """The token is a new one of the account that is connected already; else no debit may be under way there."""


class AccountView(BaseModel):
    """Where the provider shall send its callbacks."""

    callback_path: str


class NewMandate(Body):
    """A mandate that the payer gave at the provider's own page. Nothing else of the account may be sent here."""

    payer_id: UUID
    provider_mandate: Annotated[str, Field(pattern="^MD[0-9A-Za-z]{3,40}$")]
    account_ending: Annotated[str, Field(pattern="^[0-9]{2,4}$", description="the last digits, for people to tell")]


class MandateView(BaseModel):
    """A mandate as it is now."""

    mandate_id: UUID
    payer_id: UUID
    provider_mandate: str
    account_ending: str
    state: MandateState
    recorded_date: date

    @classmethod
    def of(cls, mandate: Mandate) -> Self:
        return cls(**{name: getattr(mandate, name) for name in cls.model_fields})


class CollectionView(BaseModel):
    """What billing wants collected of an instalment, and how much of it is neither collected nor on its way."""

    instalment_id: UUID
    payer_id: UUID
    version: int
    target_minor: int
    remaining_minor: int
    currency: str
    collect_date: date

    @classmethod
    def of(cls, collection: Collection) -> Self:
        fields = {name: getattr(collection, name) for name in cls.model_fields if name != "remaining_minor"}
        return cls(**fields, remaining_minor=max(collection.target_minor - collection.live_minor, 0))


class ItemView(BaseModel):
    """The part of a debit that pays one instalment."""

    instalment_id: UUID
    amount_minor: int
    attempt_no: int

    @classmethod
    def of(cls, item: DebitItem) -> Self:
        return cls(**{name: getattr(item, name) for name in cls.model_fields})


class DebitView(BaseModel):
    """A debit as it is now; `review` says why a person has to look at it."""

    debit_id: UUID
    payer_id: UUID
    mandate_id: UUID
    amount_minor: int
    currency: str
    charge_date: date
    state: State
    provider_ref: str | None
    code: str | None
    reason_class: ReasonClass | None
    review: Review | None
    items: list[ItemView]

    @classmethod
    def of(cls, debit: Debit) -> Self:
        fields = {name: getattr(debit, name) for name in DebitView.model_fields if name != "items"}
        return cls(**fields, items=[ItemView.of(item) for item in debit.items])


class FactView(BaseModel):
    """One thing that the provider told of a debit."""

    event_id: str
    action: str
    cause: str | None
    code: str | None
    occurred_at: AwareDatetime
    business_date: date

    @classmethod
    def of(cls, fact: ProviderFact) -> Self:
        return cls(**{name: getattr(fact, name) for name in cls.model_fields})


class DebitHistory(DebitView):
    """A debit, and all that the provider told of it, in the provider's order."""

    facts: list[FactView] = []


@router.post("/mandates", status_code=201)
async def record_mandate(new: NewMandate, call: Keeper, request: Request, response: Response) -> MandateView:
    """Keep a mandate given at the provider's page. It replaces the payer's earlier one; what waited goes out."""
    mandate_id = await call.once(collecting.record_mandate, None, **dict(new))
    response.headers["Location"] = f"{request.url.path}/{mandate_id}"
    return await show_mandate(mandate_id, call)


@router.get("/mandates")
async def list_mandates(call: KeeperOrClient, paging: Paging, payer_id: UUID | None = None) -> Page[MandateView]:
    """The mandates of a payer, or of the business; a client sees their own."""
    rows = select(Mandate)
    if wanted := call.caller.client_id or payer_id:
        rows = rows.where(Mandate.payer_id == wanted)
    async with call.transaction() as db:
        return await paging.page(db, rows, Mandate.mandate_id, MandateView.of)


@router.get("/mandates/{mandate_id}")
async def show_mandate(mandate_id: UUID, call: KeeperOrClient) -> MandateView:
    """One mandate."""
    async with call.transaction() as db:
        return MandateView.of(await collecting.find_mandate(db, mandate_id, client_id=call.caller.client_id))


@router.get("/collections")
async def list_collections(
    call: Reader, paging: Paging, payer_id: UUID | None = None, waiting: bool | None = None
) -> Page[CollectionView]:
    """What billing wants collected; `waiting=true`: what is neither collected nor on its way."""
    rows = select(Collection)
    if payer_id:
        rows = rows.where(Collection.payer_id == payer_id)
    if waiting is not None:
        waits = Collection.target_minor > Collection.live_minor
        rows = rows.where(waits if waiting else ~waits)
    async with call.transaction() as db:
        return await paging.page(db, rows, Collection.instalment_id, CollectionView.of)


@router.get("/debits")
async def list_debits(
    call: Reader,
    paging: Paging,
    instalment_id: UUID | None = None,
    payer_id: UUID | None = None,
    state: State | None = None,
) -> Page[DebitView]:
    """The debits of an instalment, of a payer, or in a state such as `in_review`."""
    wanted = {"payer_id": payer_id, "state": state}
    rows = select(Debit).filter_by(**{name: value for name, value in wanted.items() if value is not None})
    if instalment_id:
        rows = rows.where(Debit.items.any(DebitItem.instalment_id == instalment_id))
    async with call.transaction() as db:
        return await paging.page(db, rows, Debit.debit_id, DebitView.of)


@router.get("/debits/{debit_id}")
async def show_debit(debit_id: UUID, call: Reader) -> DebitHistory:
    """One debit, with what the provider told of it."""
    async with call.transaction() as db:
        debit, facts = await hearing.find_debit(db, debit_id)
        return DebitHistory.of(debit).model_copy(update={"facts": [FactView.of(fact) for fact in facts]})


@router.put("/provider")
async def connect_provider(new: NewAccount, call: Processor) -> AccountView:
    """Connect the business to its account with the provider; again, to roll its token or secrets."""
    seal = call.request.app.state.settings.seal()
    secrets = tuple(secret.get_secret_value() for secret in new.callback_secrets)
    async with call.transaction() as db:
        account = Account(new.access_token.get_secret_value(), secrets)
        await accounts.keep(db, seal, account, same_account=new.same_account)
    return AccountView(callback_path=f"/directdebit/v1/providers/{call.caller.business_id}/callbacks")


@router.post("/providers/{business_id}/callbacks", status_code=204)
async def take_callback(business_id: UUID, request: Request) -> Response:
    """The provider tells what became of debits. No token: the signature over the raw body is the proof."""
    state = request.app.state
    raw = await request.body()
    database: Database = state.database
    context = Context(
        business_id,
        "provider:gocardless",
        correlation_id=request.state.request_id,
        traceparent=request.state.traceparent,
    )
    try:
        async with database.transaction(context) as db:
            bank: Bank = GoCardless.of(state.settings, await accounts.find(db, state.settings.seal()))
    except (NotYetKnown, NoProvider):
        raise NotSigned from None
    if not bank.verify(request.headers, raw):
        raise NotSigned
    heard = bank.parse(raw)
    async with database.transaction(context) as db:
        await hearing.take_delivery(db, raw, heard)
    return Response(status_code=204)
