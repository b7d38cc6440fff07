"""What the bank is told: the bodies of its requests."""

from datetime import date
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


def _account_number(value: SecretStr) -> SecretStr:
    digits = value.get_secret_value()
    if not (digits.isascii() and digits.isdigit() and 5 <= len(digits) <= 17):
        raise ValueError("must be 5 to 17 digits")
    return value


def _currency(value: str) -> str:
    if value not in SCHEMES:
        raise ValueError(f"must be one of {', '.join(SCHEMES)}")
    return value


Text = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Currency = Annotated[str, AfterValidator(_currency)]
AccountNumber = Annotated[SecretStr, AfterValidator(_account_number)]
Metadata = Annotated[
    dict[Annotated[str, StringConstraints(max_length=50)], Annotated[str, StringConstraints(max_length=500)]],
    Field(max_length=3),
]


class Shape(BaseModel):
    """A request body; a field the bank does not know is refused rather than ignored."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class NewMandate(Shape):
    """A payer's account to collect from; the account number is never stored or shown."""

    account_holder_name: Text
    account_number: AccountNumber
    branch_code: Annotated[str, StringConstraints(pattern=r"^\d{3}-?\d{3,6}$")]
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
    """What becomes of each new payment of a mandate, right after it is accepted; `cause` is that of a decline."""

    payments: Literal["manual", "settle", "decline"]
    cause: Text | None = None


class NewCreditor(Shape):
    """A business that collects: where it hears of its payments, and the secret that signs what it hears."""

    name: Text
    callback_url: AnyHttpUrl
    callback_secret: Annotated[SecretStr, Field(min_length=16)]
