"""Texts that a business puts in place of ours, without any server."""

from datetime import UTC, datetime
from string import ascii_lowercase
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.notify.api import NewTemplate
from services.notify.channels import Outgoing
from services.notify.channels.email import Email
from services.notify.rules.kinds import KINDS, KindName, NoSuchKind, kind_named
from services.notify.rules.templates import (
    MOST_FIELDS,
    Field,
    Letter,
    LoneDollar,
    SaysNothing,
    Template,
    TooManyFields,
    UnknownField,
    accept,
    write,
)
from shared.errors import Invalid, Problem
from tests.notify.letters import fields_of_each_kind

FIELDS = (Field("client", "a name"), Field("reason_sentence", "why", may_be_empty=True))

KEPT: dict[KindName, str] = {
    "purchase_confirmed": "client business package sessions_sentence price_sentence start_date",
    "booking_confirmed": "client business starts_at",
    "booking_cancelled": "client business session_date session_sentence reason_sentence",
    "invoice_issued": "payer business invoice_number total lines due_dates",
    "collection_failed": "payer business invoice_number amount outcome failure_sentence next_sentence",
    "collection_failed_for_staff": (
        "payer business invoice_number amount attempt outcome failure_sentence reason_sentence next_sentence"
    ),
    "instalment_overdue": "payer business invoice_number amount due_date",
}
"""The fields that businesses may have used: one that is missing would break their texts."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_has_the_fields_that_its_kind_explains_and_none_is_ever_dropped(kind: KindName) -> None:
    explained = [field.name for field in KINDS[kind].fields]
    assert len(explained) == len(set(explained))
    assert set(fields_of_each_kind()[kind]) == set(explained)
    assert set(KEPT[kind].split()) <= set(explained)


@pytest.mark.parametrize("kind", KINDS)
def test_our_own_texts_are_such_as_a_business_may_put(kind: KindName) -> None:
    ours = KINDS[kind].default
    assert accept(ours, KINDS[kind].fields) == ours
    assert NewTemplate(subject=ours.subject, body=ours.body).body == ours.body


def test_a_field_stands_alone_before_a_letter_or_beside_a_dollar() -> None:
    template = accept(Template("For $client", "${client}s: $$5, $$$client, $client.\r\n"), FIELDS)
    assert write(template, {"client": "Ana", "reason_sentence": ""}) == Letter("For Ana", "Anas: $5, $Ana, Ana.\n")


@pytest.mark.parametrize(
    ("reason", "body"),
    [
        ("", "Hello,\n\nIt is off.\n\nBye\n"),
        ("So.", "Hello,\n\nSo. It is off.\n\nSo.\n\nBye\n"),
    ],
)
def test_an_empty_field_leaves_no_gap(reason: str, body: str) -> None:
    template = accept(Template("x", "Hello,\n\n$reason_sentence It is off.\n\n$reason_sentence\n\nBye"), FIELDS)
    assert write(template, {"client": "Ana", "reason_sentence": reason}).body == body


def test_a_name_that_looks_like_a_field_stays_a_name() -> None:
    template = Template("To $client", "$client: $reason_sentence")
    letter = write(template, {"client": "$reason_sentence ${client} $$", "reason_sentence": "So."})
    assert letter == Letter("To $reason_sentence ${client} $$", "$reason_sentence ${client} $$: So.\n")


@pytest.mark.parametrize(
    ("subject", "body", "refusal", "part", "message"),
    [
        (
            "Hi $name",
            "x",
            UnknownField,
            "subject",
            "$name: no field of this kind of message. Its fields are $client, $reason_sentence.",
        ),
        ("x", "Hi $clients and ${Client}", UnknownField, "body", "$clients, $Client: no field"),
        ("x", "$client.__class__ ${client.name}", LoneDollar, "body", "Write $$ for a dollar sign"),
        ("Only $5", "x", LoneDollar, "subject", "Write $$ for a dollar sign"),
        ("x", "5$", LoneDollar, "body", "Write $$ for a dollar sign"),
        ("$reason_sentence", "x", SaysNothing, "subject", "Add a word"),
        ("x", "$reason_sentence\n\n$reason_sentence", SaysNothing, "body", "Add a word"),
        ("x", "$client" * (MOST_FIELDS + 1), TooManyFields, "body", "Name at most 50 fields."),
    ],
)
def test_a_text_that_could_not_be_filled_in_is_refused(
    subject: str, body: str, refusal: type[Problem], part: str, message: str
) -> None:
    with pytest.raises(refusal) as refused:
        accept(Template(subject, body), FIELDS)
    (error,) = refused.value.members["errors"]
    assert error["field"] == part
    assert error["message"].startswith(message)
    assert refused.value.status == 422


def test_dollar_signs_are_no_fields() -> None:
    template = Template("x", "$$" * 100 + "$client" * MOST_FIELDS)
    assert accept(template, FIELDS) == template


NAMES = sorted({name for names in KEPT.values() for name in names.split()})
pieces = st.one_of(
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=20),
    st.text("${}$ \n\t" + ascii_lowercase, max_size=10),
    st.sampled_from(NAMES).flatmap(lambda name: st.sampled_from([f"${name} ", f"${{{name}}}", f"$${name}"])),
)
texts = st.lists(pieces, min_size=1, max_size=8).map("".join)
lines = texts.map(lambda text: " ".join(text.split()))


@given(st.sampled_from(list(KINDS)), st.one_of(lines, st.text()), st.one_of(texts, st.text()))
@example("booking_cancelled", "$client", "$reason_sentence")
@example("booking_cancelled", "$client", "{client.__class__} %s $client")
def test_any_text_is_refused_or_makes_a_mail(kind: KindName, subject: str, body: str) -> None:
    try:
        new = NewTemplate(subject=subject, body=body)
        template = accept(Template(new.subject, new.body), KINDS[kind].fields)
    except (ValidationError, Invalid):
        return
    letter = write(template, fields_of_each_kind()[kind])
    assert letter.subject
    assert len(letter.subject.splitlines()) == 1
    assert letter.body.strip()
    assert letter.body.endswith("\n")
    assert "\n\n\n" not in letter.body
    message = Outgoing(
        internet_id="<1@notify.punchcard>",
        sender_name="Harbour Studio",
        reply_to="desk@studio.example",
        address="ana@x.example",
        subject=letter.subject,
        body=letter.body,
        date=datetime(2022, 9, 9, tzinfo=UTC),
    )
    mail = Email(urlsplit("smtp://x"), "no-reply@studio.example").compose(message)
    assert mail.get_content().split() == letter.body.split()


plain = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="$"), min_size=1, max_size=20)


@given(st.data(), st.sampled_from(list(KINDS)))
def test_a_text_of_words_and_fields_is_taken_and_says_them_in_order(data: st.DataObject, kind: KindName) -> None:
    fields = fields_of_each_kind()[kind]
    words, named = plain.map(lambda text: (text, text)), st.sampled_from(sorted(fields.items()))
    parts = data.draw(st.lists(st.one_of(words, named), max_size=30))
    body = "word " + " ".join(text if text is value else f"${{{text}}}" for text, value in parts)
    template = accept(Template("$business", body), KINDS[kind].fields)
    assert write(template, fields).body.split() == ["word", *" ".join(value for _, value in parts).split()]


def test_a_kind_that_there_is_not_is_not_found() -> None:
    with pytest.raises(NoSuchKind, match=r"Ask for one of purchase_confirmed, booking_confirmed, .*instalment_overdue"):
        kind_named("invoice")
    assert kind_named("invoice_issued") == "invoice_issued"
