"""What the demo's files hold: a class per file, a field per column; a description says what to write there."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from deploy.local.demo.columns import Account, Day, Days, Moment, Money, Number, YesNo, several
from deploy.practice_bank.rules import BECS_REASONS, SCHEMES
from deploy.practice_bank.scenarios import SCENARIOS
from shared.texts import Email, Line

OPENS, CLOSES = time(6), time(21)
"""In the morning people buy, book and cancel; in the evening packages are closed, and people pay at the desk."""


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("is no time zone")
    return name


def _cause(name: str) -> str:
    if name not in BECS_REASONS:
        raise ValueError("is no cause that a bank gives")
    return name


def _scenario(name: str) -> str:
    if name not in SCENARIOS:
        raise ValueError("is no scenario of the bank")
    return name


def _currency(name: str) -> str:
    if name not in SCHEMES:
        raise ValueError("is not collected by the practice bank")
    return name


@dataclass(frozen=True)
class Place:
    """Where something is written: the header of a file is its row 1; templates are counted."""

    file: str
    row: int | None = None

    def __str__(self) -> str:
        word = "template" if self.file.endswith(".json") else "row"
        return f"{self.file}, {word} {self.row}" if self.row else self.file


class Row(BaseModel):
    """One row of a file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    place: Place


class Business(Row):
    """business.json"""

    name: Line = Field(description="the name of the business")
    zone: Annotated[str, AfterValidator(_zone)] = Field(description="a time zone such as Australia/Sydney")
    currency: Annotated[str, AfterValidator(_currency)] = Field(description=f"one of {', '.join(SCHEMES)}")
    email: Email = Field(description="the mail address of the desk")

    def at(self, on: date, clock: time) -> datetime:
        """The instant at which it is this late at the business."""
        return datetime.combine(on, clock, ZoneInfo(self.zone))


class StaffMember(Row):
    """staff.csv"""

    name: Line = Field(description="a name")
    practitioner: YesNo = Field(description="yes or no: do they take bookings?")
    seller: YesNo = Field(description="yes or no: do they sell packages?")


class OfferedService(Row):
    """services.csv"""

    name: Line = Field(description="a name")
    minutes: Number = Field(description="how long a session takes, such as 60")


class Tier(BaseModel):
    """One of the tiers of a post-billed template."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_least: Number = Field(description="from how many sessions on, such as 5")
    rate: Money = Field(description="what each session then costs, such as 55.00")


class Template(Row):
    """templates.json; each form has its own fields, which the catalog judges."""

    name: Line = Field(description="a name")
    description: str = Field("", max_length=5000, description="a text")
    billing_mode: Literal["pre_bill", "post_bill"] = Field(description="pre_bill or post_bill")
    form: Literal["paid_in_full", "instalments", "recurring"] | None = Field(
        None, description="paid_in_full, instalments or recurring; nothing for a post-billed template"
    )
    services: Annotated[list[str], BeforeValidator(several)] = Field(description='a list such as ["Pilates"]')
    practitioners: Annotated[list[str], BeforeValidator(several)] = Field([], description='a list such as ["Kim"]')
    session_count: Number | None = Field(None, description="how many sessions, such as 10")
    price: Money | None = Field(None, description='an amount such as "500.00"')
    tiers: Annotated[list[Tier], BeforeValidator(several)] = Field(
        [], description='a list such as [{"at_least": 1, "rate": "60.00"}]'
    )
    frequency: Literal["weekly", "fortnightly", "monthly"] | None = Field(
        None, description="weekly, fortnightly or monthly"
    )
    instalment_count: Number | None = Field(None, description="in how many parts it is paid, such as 5")
    rollover: Literal["reset", "add"] | None = Field(None, description="reset or add")
    term_weeks: Annotated[int, Field(ge=0, le=1040)] | None = Field(None, description="a number of weeks, 0 for no end")
    valid_days: Number | None = Field(None, description="for how many days it can be used, such as 90")
    late_cancel_hours: Annotated[int, Field(ge=0, le=720)] = Field(0, description="a number of hours, such as 24")


class Client(Row):
    """clients.csv"""

    name: Line = Field(description="a name")
    email: Email | None = Field(None, description="a mail address, or nothing")


class Mandate(Row):
    """mandates.csv: from a day on, what the bank does with the debits of a client, and under which mandate."""

    client: str = Field(description="a name of clients.csv")
    starts_on: Day = Field(description="a date such as 2022-09-09")
    mandate: Literal["signed", "registered"] | None = Field(
        None, description="signed for a new one at the bank's page, registered for one from here, or nothing"
    )
    account_number: Account | None = Field(None, description="5 to 17 made-up digits, where it is registered")
    scenario: Annotated[str, AfterValidator(_scenario)] = Field(description=f"one of {', '.join(SCENARIOS)}")
    cause: Annotated[str, AfterValidator(_cause)] | None = Field(
        None, description=f"why the bank fails them: one of {', '.join(BECS_REASONS)}"
    )


class Sale(Row):
    """sales.csv: a package sold, under a name of your own."""

    package: str = Field(description="a name for this package, such as P01")
    client: str = Field(description="a name of clients.csv")
    template: str = Field(description="a name of templates.json")
    sold_on: Day = Field(description="a date such as 2022-09-09")
    sold_by: str | None = Field(None, description="a seller of staff.csv, or nothing")
    auto_pay: YesNo = Field(description="yes or no: is it collected by direct debit?")
    price: Money | None = Field(None, description="an amount such as 450.00, or nothing for the template's")
    session_count: Number | None = Field(None, description="a number such as 12, or nothing for the template's")
    expiry_date: Day | None = Field(None, description="a date such as 2022-12-08, or nothing for the template's")
    first_due_date: Day | None = Field(None, description="a date such as 2022-09-13, or nothing for that of the sale")
    auto_renew: YesNo = Field(False, description="yes or no: is it sold again once it was closed?")
    close_on: Days = Field(
        (), description="a date such as 2022-09-23, or nothing; several, with spaces between, where it renews"
    )


class Payment(Row):
    """payments.csv: money handed over at the desk."""

    client: str = Field(description="a name of clients.csv")
    package: str | None = Field(None, description="a name of sales.csv, or nothing for all that the client owes")
    paid_on: Day = Field(description="a date such as 2022-09-20")
    amount: Money | None = Field(None, description="an amount such as 100.00, or nothing for all that is due")
    method: Literal["cash", "card"] = Field(description="cash or card")


class Booking(Row):
    """bookings.csv: a session booked, and what became of it."""

    client: str = Field(description="a name of clients.csv")
    package: str | None = Field(None, description="a name of sales.csv, or nothing to have the client's own found")
    service: str = Field(description="a name of services.csv")
    practitioner: str = Field(description="a practitioner of staff.csv")
    booked_on: Day = Field(description="a date such as 2022-09-09")
    booked_by: Literal["client", "desk"] = Field("desk", description="client or desk")
    starts_at: Moment = Field(description="the time at the business, such as 2022-09-12 17:30")
    outcome: Literal["attended", "no_show", "cancelled", "refused"] | None = Field(
        None, description="attended, no_show, cancelled, refused, or nothing for a session still to come"
    )
    cancelled_on: Day | None = Field(None, description="a date such as 2022-09-11, where the outcome is cancelled")


@dataclass(frozen=True)
class Script:
    """All that is written, checked: what the demo will live through."""

    business: Business
    staff: list[StaffMember]
    services: list[OfferedService]
    templates: list[Template]
    clients: list[Client]
    mandates: list[Mandate]
    sales: list[Sale]
    payments: list[Payment]
    bookings: list[Booking]

    @property
    def days(self) -> list[date]:
        """Every day from the first on which something happens to the last."""
        found = {mandate.starts_on for mandate in self.mandates} | {payment.paid_on for payment in self.payments}
        found |= {day for sale in self.sales for day in (sale.sold_on, *sale.close_on)}
        for booking in self.bookings:
            found |= {day for day in (booking.booked_on, booking.cancelled_on) if day}
            if booking.outcome in ("attended", "no_show"):
                found.add(booking.starts_at.date())
        first = min(found)
        return [first + timedelta(days=count) for count in range((max(found) - first).days + 1)]
