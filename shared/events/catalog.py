"""What catalog tells: the state of the reference book. Full state with a sequence; the newest wins."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from shared.events import Event, Part
from shared.money import Currency, Minor, Whole
from shared.schedule import Frequency as Frequency

BillingMode = Literal["pre_bill", "post_bill"]
Form = Literal["paid_in_full", "instalments", "recurring"]
Rollover = Literal["reset", "add"]


class BusinessChanged(Event, type="catalog.business_changed.v1", subject="business_id"):
    """The profile, the settings or the test clock of the business are now these."""

    business_id: UUID
    sequence: int
    name: str
    zone: str
    currency: Currency
    email: str
    test_now: datetime | None = None


class BusinessDayStarted(Event, type="catalog.business_day_started.v1", subject="business_id"):
    """All dates up to this one have started at the business; what is to happen on them may happen."""

    business_id: UUID
    business_date: date


ERASED_CLIENT = "Erased client"


class ClientChanged(
    Event,
    type="catalog.client_changed.v1",
    subject="client_id",
    personal={"name": ERASED_CLIENT, "email": None},
):
    """A client is now so. `erased`: everybody forgets who they were; it is the last that is told of them."""

    client_id: UUID
    sequence: int
    name: str
    email: str | None
    active: bool
    erased: bool = False


class StaffChanged(Event, type="catalog.staff_changed.v1", subject="staff_id"):
    """A member of staff is now so."""

    staff_id: UUID
    sequence: int
    name: str
    practitioner: bool
    seller: bool
    active: bool


class ServiceChanged(Event, type="catalog.service_changed.v1", subject="service_id"):
    """A kind of session that can be sold and booked is now so."""

    service_id: UUID
    sequence: int
    name: str
    minutes: int
    active: bool


class Tier(Part):
    """From this many sessions on, each session of a post-bill package costs this much (R-28)."""

    at_least: Annotated[Whole, Field(ge=1, le=10_000)]
    rate_minor: Annotated[Minor, Field(gt=0)]


class Terms(Part):
    """What a template offers, and what a package was sold on.

    Paid in full and by instalments: `session_count` sessions at once for `price_minor` in all. Recurring: so many
    sessions for so much in each period of `frequency`, for `term_weeks` (0: open-ended). Post-bill: `tiers` only.
    """

    name: str
    billing_mode: BillingMode
    form: Form | None
    service_ids: list[UUID]
    practitioner_ids: list[UUID]
    session_count: int | None
    price_minor: int | None
    currency: Currency
    tiers: list[Tier]
    frequency: Frequency | None
    instalment_count: int | None
    rollover: Rollover | None
    term_weeks: int | None
    valid_days: int | None
    late_cancel_hours: int
    needs_approval: bool

    @property
    def post_bill(self) -> bool:
        return self.billing_mode == "post_bill"


class TemplatePublished(Event, type="catalog.template_published.v1", subject="template_id"):
    """A version of a template is on sale; a version never changes. An inactive one ends the sale (FSP-09)."""

    template_id: UUID
    version: int
    active: bool
    terms: Terms
