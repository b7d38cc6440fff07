"""Money: whole minor units with their currency, never a float (R-01)."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, StringConstraints

Currency = Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")]
"""An ISO 4217 code, such as `AUD`."""

Minor = Annotated[int, Field(ge=0, le=10**12)]
"""An amount in the currency's smallest unit: $1,100 is 110000."""


@dataclass(frozen=True, order=False)
class Money:
    """An amount in minor units of one currency; amounts of two currencies never meet."""

    amount_minor: int
    currency: str

    def __add__(self, other: "Money") -> "Money":
        if other.currency != self.currency:
            raise ValueError(f"{other.currency} cannot be added to {self.currency}")
        return Money(self.amount_minor + other.amount_minor, self.currency)

    def __mul__(self, times: int) -> "Money":
        return Money(self.amount_minor * times, self.currency)
