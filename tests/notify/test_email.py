"""Mail as it is handed over."""

from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiosmtplib.errors import SMTPConnectError

from deploy.local.running.mail import MailSink
from services.notify.channels import Outgoing, Undeliverable
from services.notify.channels.email import Email


def outgoing(**changes: Any) -> Outgoing:
    usual: dict[str, Any] = {
        "internet_id": "<1@notify.punchcard>",
        "sender_name": "Harbour Studio",
        "reply_to": "desk@studio.example",
        "address": "ana@x.example",
        "subject": "Grüße",
        "body": "Hello Ana,\n\n" + "é" * 2000 + "\n",
        "date": datetime(2022, 9, 9, tzinfo=UTC),
    }
    return Outgoing(**usual | changes)


async def test_a_letter_arrives_as_it_was_written() -> None:
    with MailSink() as sink:
        await Email(urlsplit(sink.url), "no-reply@studio.example").send(outgoing())
    (message,) = sink.messages
    assert (message.message_id, message.subject) == ("<1@notify.punchcard>", "Grüße")
    assert message.recipients == ("ana@x.example",)
    assert message.text.replace("\r\n", "\n") == outgoing().body


def test_replies_go_to_the_business() -> None:
    letter = Email(urlsplit("smtp://x"), "no-reply@studio.example").compose(outgoing(sender_name='A "B"\r\nC: d'))
    assert str(letter["Reply-To"]) == "desk@studio.example"
    assert letter["From"].addresses[0].display_name == 'A "B" C: d'
    assert letter["From"].addresses[0].addr_spec == "no-reply@studio.example"


@pytest.mark.parametrize(
    "injected",
    [
        "=?utf-8?q?Ten=0D=0AContent-Type:=20text/html=0D=0A=0D=0A<a_href=3Dx>?=",
        "=?utf-8?b?QQ0KQmNjOiB4QHkueg==?=",
        "Ten\r\nBcc: x@y.z",
        "=?utf-8?q?half",
    ],
)
def test_no_text_becomes_a_header(injected: str) -> None:
    letter = Email(urlsplit("smtp://x"), "no-reply@studio.example").compose(
        outgoing(subject=injected, sender_name=injected)
    )
    read = message_from_bytes(letter.as_bytes(), policy=default)
    assert sorted(read.keys()) == sorted(letter.keys())
    assert (read["Bcc"], read.get_content_type()) == (None, "text/plain")
    head = letter.as_bytes().partition(b"\r\n\r\n")[0]
    assert {line.partition(b":")[0] for line in head.split(b"\r\n") if not line.startswith(b" ")} == {
        name.encode() for name in letter
    }


@pytest.mark.parametrize(
    "address", ["", "ana", "ana@x.example\r\nBcc: all@x.example", "a@b@c", "<ana@x.example>", "a b@c"]
)
def test_what_is_no_address_cannot_be_delivered(address: str) -> None:
    with pytest.raises(Undeliverable) as refusal:
        Email(urlsplit("smtp://x"), "no-reply@studio.example").compose(outgoing(address=address))
    assert not address or address not in str(refusal.value)


async def test_a_server_that_is_away_is_not_the_messages_fault() -> None:
    with MailSink() as sink:
        away = sink.url
    with pytest.raises(SMTPConnectError):
        await Email(urlsplit(away), "no-reply@studio.example").send(outgoing())
