"""The templates of the business: the terms from which packages are sold."""

from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from services.catalog import actions
from services.catalog.api.callers import Keeper, ReaderOrClient
from services.catalog.tables import TemplateVersion
from shared.events.catalog import BillingMode, Form, Frequency, Rollover, Terms, Tier
from shared.http import Body, Page, Paging
from shared.money import Currency, Minor
from shared.texts import Line, Prose

router = APIRouter()


class NewTemplate(Body):
    """What is to be sold. Each form has its own fields, and none of another's (CC-01).

    Paid in full and by instalments: `session_count` sessions at once, for `price_minor` in all. Recurring: so many
    sessions, for so much, in each period: 3 a week, billed fortnightly, are 6 (CC-18, OE-12, OE-13). Post-billed:
    `tiers` only.
    """

    name: Line
    description: Prose = Field("", description="shown on the public booking page (PB-02)")
    billing_mode: BillingMode
    form: Form | None = Field(None, description="of a pre-billed template")
    service_ids: list[UUID] = Field(min_length=1, max_length=200)
    practitioner_ids: list[UUID] = Field([], max_length=200, description="empty: any practitioner (PB-09)")
    session_count: Annotated[int, Field(ge=1, le=10_000)] | None = None
    price_minor: Minor | None = None
    currency: Currency | None = Field(None, description="the business's, unless given")
    tiers: list[Tier] = Field([], max_length=50, description="of a post-billed template: the first from 1 session on")
    frequency: Frequency | None = None
    instalment_count: Annotated[int, Field(ge=2, le=120)] | None = None
    rollover: Rollover | None = Field(None, description="are unused sessions of a period lost, or kept? (OE-07)")
    term_weeks: Annotated[int, Field(ge=0, le=1040)] | None = Field(
        None, description="0: open-ended (OE-11); billed monthly, a term is in months (R-15)"
    )
    valid_days: Annotated[int, Field(ge=1, le=3650)] | None = Field(None, description="from the start; null: no expiry")
    late_cancel_hours: int = Field(0, ge=0, le=720)
    needs_approval: bool = False


class TemplateView(Terms):
    """A template as it is now."""

    template_id: UUID
    version: int
    active: bool
    description: str

    @classmethod
    def of(cls, template: TemplateVersion) -> Self:
        return cls(
            **dict(template.terms),
            template_id=template.template_id,
            version=template.version,
            active=template.active,
            description=template.description,
        )


@router.post("/templates", status_code=201)
async def offer_template(new: NewTemplate, call: Keeper, request: Request, response: Response) -> TemplateView:
    """Offer a template for sale."""
    template_id = await call.once(actions.offer, None, **dict(new))
    response.headers["Location"] = f"{request.url.path}/{template_id}"
    return await show_template(template_id, call)


@router.put("/templates/{template_id}")
async def revise_template(template_id: UUID, new: NewTemplate, call: Keeper) -> TemplateView:
    """Offer the template in a new version; packages sold before keep theirs (R-49)."""
    async with call.transaction() as db:
        await actions.revise(db, template_id, **dict(new))
    return await show_template(template_id, call)


@router.post("/templates/{template_id}/withdraw")
async def withdraw_template(template_id: UUID, call: Keeper) -> TemplateView:
    """End the sale of the template; a new version brings it back."""
    await call.once(actions.withdraw, template_id)
    return await show_template(template_id, call)


@router.get("/templates")
async def list_templates(call: ReaderOrClient, paging: Paging, active: bool | None = None) -> Page[TemplateView]:
    """The templates of the business in their newest versions; clients find those on sale."""
    rows = actions.newest_templates(active=True if call.caller.is_client else active)
    async with call.transaction() as db:
        return await paging.page(db, rows, TemplateVersion.template_id, TemplateView.of)


@router.get("/templates/{template_id}")
async def show_template(template_id: UUID, call: ReaderOrClient) -> TemplateView:
    """One template in its newest version."""
    async with call.transaction() as db:
        return TemplateView.of(await actions.find_template(db, template_id, caller=call.caller))
