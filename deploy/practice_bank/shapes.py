"""What the bank is told: the bodies of its requests."""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
)

from deploy.practice_bank.rules import SCHEMES
from deploy.practice_bank.scenarios import SCENARIOS


def _account_number(value: SecretStr) -> SecretStr:
    digits = value.get_secret_value()
    if not (digits.isascii() and digits.isdigit() and 5 <= len(digits) <= 17):
        raise ValueError("must be 5 to 17 digits")
    return value


def _currency(value: str) -> str:
    if value not in SCHEMES:
        raise ValueError(f"must be one of {', '.join(SCHEMES)}")
    return value


def _scenario(value: str) -> str:
    if value not in SCENARIOS:
        raise ValueError(f"must be one of {', '.join(SCENARIOS)}")
    return value


Text = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Currency = Annotated[str, AfterValidator(_currency)]
AccountNumber = Annotated[SecretStr, AfterValidator(_account_number)]
BranchCode = Annotated[str, StringConstraints(pattern=r"^\d{3}-?\d{3,6}$")]
Metadata = Annotated[
    dict[Annotated[str, StringConstraints(max_length=50)], Annotated[str, StringConstraints(max_length=500)]],
    Field(max_length=3),
]


class Shape(BaseModel):
    """A request body; a field the bank does not know is refused rather than ignored."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class NewCustomer(Shape):
    """A payer, as the creditor knows them."""

    given_name: Text | None = None
    family_name: Text | None = None
    company_name: Text | None = None
    email: Text | None = None
    metadata: Metadata = {}


class AccountLinks(Shape):
    """Whose account it is."""

    customer: str


class NewAccount(Shape):
    """A payer's account; its number is never stored or shown."""

    account_holder_name: Text
    account_number: AccountNumber
    branch_code: BranchCode
    currency: Currency
    country_code: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] | None = None
    metadata: Metadata = {}
    links: AccountLinks


class MandateLinks(Shape):
    """Which account a mandate allows to debit."""

    customer_bank_account: str


class NewMandate(Shape):
    """Leave to debit an account; the scheme follows from the account's currency."""

    scheme: Text | None = None
    metadata: Metadata = {}
    links: MandateLinks


class NewSignedMandate(Shape):
    """What a payer enters at the bank's own page; the account number is never stored or shown."""

    account_holder_name: Text
    account_number: AccountNumber
    branch_code: BranchCode
    currency: Currency
    metadata: Metadata = {}


class PaymentLinks(Shape):
    """What a payment is collected under."""

    mandate: str


class NewPayment(Shape):
    """One debit; `amount` in minor units, at most the ten digits of a direct-entry row."""

    amount: Annotated[int, Field(strict=True, gt=0, lt=10**10)]
    currency: Currency
    charge_date: date
    metadata: Metadata = {}
    links: PaymentLinks
    retry_if_possible: Literal[False] = False


class WantedPayments(Shape):
    """Which payments a list shall hold, and which page of it: so many, after this one."""

    mandate: str | None = None
    created_since: Annotated[AwareDatetime | None, Field(alias="created_at[gte]")] = None
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    after: str | None = None


class Because(Shape):
    """Why a payment fails; what is left out takes its usual value."""

    cause: Text | None = None
    reason_code: Text | None = None
    description: Text | None = None


class Behaviour(Shape):
    """What becomes of the new payments of a mandate, by the name of a scenario; `cause` is that of a failure."""

    payments: Annotated[str, AfterValidator(_scenario)]
    cause: Text | None = None


def _far_from_the_ends_of_time(now: datetime) -> datetime:
    if not 1900 <= now.year <= 2100:
        raise ValueError("must be between 1900 and 2100")
    return now


Now = Annotated[AwareDatetime, AfterValidator(_far_from_the_ends_of_time)]


class NewCreditor(Shape):
    """A business that collects: where it hears of its payments, and the secret that signs what it hears.

    `reference` is its own name for itself. With `now` it lives on a practice clock, in the zone of that instant.
    """

    name: Text
    callback_url: AnyHttpUrl
    callback_secret: Annotated[SecretStr, Field(min_length=16)]
    reference: Text | None = None
    now: Now | None = None


class NewClock(Shape):
    """How late it is from now on."""

    now: Now
