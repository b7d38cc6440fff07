"""What the shapes of catalog's doors are made of."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints, field_validator

Line = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$"
    ),
]
"""A name: one line of text."""

Prose = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=5000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")
]
"""Text of several lines."""

Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        max_length=254,
        pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$",
    ),
]
"""One mail address, of a form that may stand in a mail's header."""


class Change(BaseModel):
    """Some fields of an entry; what is not sent stays as it is."""

    @field_validator("name", "active", "practitioner", "seller", "minutes", mode="before", check_fields=False)
    @classmethod
    def _has_a_value(cls, value: object) -> object:
        if value is None:
            raise ValueError("give it a value, or leave it out")
        return value

    def changes(self) -> dict[str, Any]:
        return self.model_dump(exclude_unset=True)


class View(BaseModel):
    """A row as it is now."""

    model_config = ConfigDict(from_attributes=True)
