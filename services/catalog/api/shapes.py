"""What the shapes of catalog's doors are made of."""

from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator

from shared.http import Body


class Change(Body):
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
