"""The mail sink keeps what it is sent: every time, in order, as it was."""

import smtplib
from email.message import EmailMessage
from pathlib import Path

import httpx

from deploy.local.running.mail import MailSink, mail_app


def _letter(subject: str, text: str = "Six sessions are yours.\n") -> EmailMessage:
    letter = EmailMessage()
    letter["From"] = "Studio <studio@example.test>"
    letter["To"] = "Client <client@example.test>"
    letter["Subject"] = subject
    letter["Message-ID"] = "<one@example.test>"
    letter.set_content(text)
    return letter


def _send(sink: MailSink, *letters: EmailMessage) -> None:
    host, port = sink.url.removeprefix("smtp://").split(":")
    with smtplib.SMTP(host, int(port), timeout=5) as smtp:
        for letter in letters:
            smtp.send_message(letter)


def test_a_message_is_kept_with_its_envelope_and_text() -> None:
    with MailSink() as sink:
        _send(sink, _letter("Grüße", "Größe: 6 für 50 €\n"))

    (message,) = sink.messages
    assert message.number == 1
    assert message.message_id == "<one@example.test>"
    assert message.sender == "studio@example.test"
    assert message.recipients == ("client@example.test",)
    assert message.subject == "Grüße"
    assert message.text.splitlines() == ["Größe: 6 für 50 €"]


def test_a_message_sent_twice_is_kept_twice_in_order() -> None:
    with MailSink() as sink:
        _send(sink, _letter("first"), _letter("second"), _letter("first"))

    assert [(message.number, message.subject) for message in sink.messages] == [
        (1, "first"),
        (2, "second"),
        (3, "first"),
    ]


def test_html_is_kept_where_there_is_no_plain_text_and_nothing_where_there_is_no_text() -> None:
    html, bare = _letter("html"), _letter("bare")
    html.set_content("<p>Hello</p>", subtype="html")
    bare.set_content(b"%PDF", maintype="application", subtype="pdf")

    with MailSink() as sink:
        _send(sink, html, bare)

    assert [message.text.strip() for message in sink.messages] == ["<p>Hello</p>", ""]


def test_a_folder_keeps_the_messages_of_every_run(tmp_path: Path) -> None:
    for _ in range(2):
        with MailSink(folder=tmp_path / "mail") as sink:
            _send(sink, _letter("kept"))

    files = sorted((tmp_path / "mail").iterdir())
    assert [file.name for file in files] == ["00001.eml", "00002.eml"]
    assert all(b"Subject: kept" in file.read_bytes() for file in files)


async def test_the_page_shows_messages_escaped_and_the_data_is_beside_it() -> None:
    with MailSink() as sink:
        _send(sink, _letter("<b>bold</b>", "<script>alert(1)</script>\n"))
        web = httpx.ASGITransport(app=mail_app(sink))
        async with httpx.AsyncClient(transport=web, base_url="http://mail.test") as http:
            page = (await http.get("/")).text
            data = (await http.get("/messages.json")).json()

    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>" not in page
    assert data["messages"][0]["recipients"] == ["client@example.test"]


def test_an_empty_sink_says_so() -> None:
    assert "No mail yet." in MailSink().page()
