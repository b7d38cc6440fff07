"""Money: whole minor units with their currency, never a float (R-01)."""

from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints


def _counts(value: object) -> object:
    """`true` is no number, though Python says it is one."""
    if isinstance(value, bool):
        raise ValueError("write a whole number")
    return value


Whole = Annotated[int, BeforeValidator(_counts)]
"""A whole number as a request writes it."""

Currency = Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")]
"""An ISO 4217 code, such as `AUD`."""

Minor = Annotated[Whole, Field(ge=0, le=10**12)]
"""An amount in the currency's smallest unit: $1,100 is 110000."""
