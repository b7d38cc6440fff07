"""E-mail, handed to the mail server that the environment names."""

import asyncio
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Self
from urllib.parse import SplitResult, unquote, urlsplit

import aiosmtplib
from aiosmtplib.errors import SMTPDataError, SMTPNotSupported, SMTPRecipientsRefused

from services.notify.channels import Outgoing, Undeliverable
from shared.settings import Settings

TIMEOUT_SECONDS = 20
IN_ALL_SECONDS = 45
"""Less than the lease of the work, so that a try has ended before another replica begins one."""


@dataclass(frozen=True)
class Email:
    """Mail from one address through one server: `smtp://host:port`, `smtps://user:password@host:port`."""

    server: SplitResult
    sender: str

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(urlsplit(settings.smtp_url or ""), settings.mail_from)

    async def send(self, message: Outgoing) -> None:
        """A refused address or text is final; a refused login or sender is ours to mend, so it is tried again."""
        user, password = self.server.username, self.server.password
        try:
            async with asyncio.timeout(IN_ALL_SECONDS):
                await aiosmtplib.send(
                    self.compose(message),
                    sender=self.sender,
                    recipients=[message.address],
                    hostname=self.server.hostname,
                    port=self.server.port,
                    username=unquote(user) if user else None,
                    password=unquote(password) if password else None,
                    use_tls=self.server.scheme == "smtps",
                    timeout=TIMEOUT_SECONDS,
                )
        except SMTPRecipientsRefused as refusals:
            codes = [refusal.code for refusal in refusals.recipients]
            if all(code >= 500 for code in codes):
                raise Undeliverable(f"the address was refused: {codes}") from None
            raise
        except SMTPDataError as answer:
            if answer.code >= 500:
                raise Undeliverable(f"the message was refused: {answer.code}") from None
            raise
        except SMTPNotSupported:
            if not message.address.isascii():
                raise Undeliverable("the mail server takes no such address") from None
            raise

    def compose(self, message: Outgoing) -> EmailMessage:
        """Plain text from the business, which gets the replies. Raises Undeliverable for what is no address."""
        letter = EmailMessage(policy=SMTP)
        try:
            letter["Message-ID"] = message.internet_id
            letter["Date"] = message.date
            letter["From"] = Address(_inert(message.sender_name), addr_spec=self.sender)
            letter["Reply-To"] = Address(addr_spec=message.reply_to)
            letter["To"] = Address(addr_spec=message.address)
            letter["Subject"] = _inert(message.subject)
            letter["Auto-Submitted"] = "auto-generated"
            letter.set_content(message.body)
            letter.as_bytes()
        except (MessageError, ValueError, IndexError) as error:
            raise Undeliverable(f"the message cannot be written: {type(error).__name__}") from None
        return letter


def _inert(text: str) -> str:
    """One line that means only itself: the e-mail package would decode an encoded word (RFC 2047) that stands in it,
    line breaks and all, and begin another header with what follows them."""
    return " ".join(text.replace("=?", "= ?").split())
