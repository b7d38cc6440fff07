"""The account that a business has with the provider."""

from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from services.directdebit.tables.debits import Base


class ProviderAccount(Base):
    """How a business asks the provider, and proves what the provider tells: both sealed, never shown again."""

    __tablename__ = "provider_accounts"

    business_id: Mapped[UUID] = mapped_column(primary_key=True)
    access_token: Mapped[bytes]
    callback_secrets: Mapped[bytes]
    """A JSON list of the one or two that are live."""
