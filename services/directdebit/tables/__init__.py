"""The rows directdebit owns, a file for each thing; and what they have in common."""

from typing import Annotated, Literal

from sqlalchemy import BigInteger
from sqlalchemy.orm import mapped_column

from shared.database import Row, metadata

Amount = Annotated[int, mapped_column(BigInteger)]
ReasonClass = Literal["soft", "hard"]


class Base(Row):
    __abstract__ = True
    metadata = metadata()
