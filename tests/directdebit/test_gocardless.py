"""The provider's signature and its callbacks, without any server."""

import csv
import hashlib
import hmac
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest
from hypothesis import strategies as st

from services.directdebit.bank.gocardless import GoCardless
from services.directdebit.bank.strict_json import Unreadable, read
from services.directdebit.rules.reasons import reason_class
from shared.ids import new_id

OLD, NEW = b"a secret of yesterday", b"a secret of today....."
DEBIT = new_id()

given = os.environ.get("THIRD_PARTY_TESTDATA")
needs_testdata = pytest.mark.skipif(given is None, reason="THIRD_PARTY_TESTDATA names no folder with samples of others")
SAMPLES = Path(given or ".") / "directdebit"


def account(answer: Callable[[httpx.Request], httpx.Response] | None = None, *secrets: bytes) -> GoCardless:
    transport = httpx.MockTransport(answer) if answer else None
    return GoCardless("http://provider.test", "token", secrets or (OLD, NEW), transport)


def signed(secret: bytes, body: bytes) -> dict[str, str]:
    return {"Webhook-Signature": hmac.new(secret, body, hashlib.sha256).hexdigest()}


# Signature


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_each_live_secret_verifies_and_is_told_by_its_number(secret: bytes) -> None:
    assert account().signed_by(signed(secret, b"{}"), b"{}") == [OLD, NEW].index(secret) + 1


def test_a_retired_secret_does_not() -> None:
    assert not account().signed_by(signed(b"a secret of last year", b"{}"), b"{}")


@pytest.mark.parametrize("change", [b"\n", b" ", b"\0"])
def test_the_very_bytes_are_signed(change: bytes) -> None:
    assert not account().signed_by(signed(NEW, b"{}"), b"{}" + change)


@pytest.mark.parametrize("header", ["", "x", "é", "ÿþ", "0" * 64, signed(NEW, b"{}")["Webhook-Signature"].upper()])
def test_a_malformed_signature_is_a_plain_no(header: str) -> None:
    assert account().signed_by({"Webhook-Signature": header}, b"{}") is None


def test_no_signature_is_a_plain_no() -> None:
    assert account().signed_by({}, b"{}") is None


@needs_testdata
def test_the_providers_own_vector_verifies_and_its_twins_do_not() -> None:
    secret = b"ED7D658C-D8EB-4941-948B-3973214F2D49"
    header = {"Webhook-Signature": "2693754819d3e32d7e8fcb13c729631f316c6de8dc1cf634d6527f1c07276e7e"}
    raw = (SAMPLES / "gocardless/webhook_body.json").read_bytes()
    pretty = (SAMPLES / "gocardless/webhook_body.pretty.nodejs.json").read_bytes()
    bank = account(None, secret)
    assert bank.signed_by(header, raw.strip())
    assert not bank.signed_by(header, raw.strip() + b"\n")
    assert not bank.signed_by(header, pretty)
    hostile = json.loads((SAMPLES / "signatures/hostile_headers.json").read_text())["gocardless"]
    assert not any(bank.signed_by({} if each is None else {"Webhook-Signature": each}, raw.strip()) for each in hostile)


# Callbacks


def an_event(**changes: Any) -> dict[str, Any]:
    usual = {
        "id": "EV1",
        "created_at": "2022-09-27T09:13:51.404Z",
        "resource_type": "payments",
        "action": "failed",
        "details": {"origin": "bank", "cause": "insufficient_funds", "scheme": "becs", "reason_code": "6"},
        "links": {"payment": "PM1"},
        "resource_metadata": {"debit_id": str(DEBIT)},
    }
    return usual | changes


def a_callback(*events: Any) -> bytes:
    return json.dumps({"events": events, "meta": {"webhook_id": "WB1"}}).encode()


def test_an_event_is_read_into_our_words() -> None:
    heard = account().parse(a_callback(an_event()))
    (notice,) = heard.notices
    assert heard.trouble is None
    assert (notice.kind, notice.provider_ref, notice.named_id) == ("failed", "PM1", DEBIT)
    assert (notice.cause, notice.code, notice.reason_class) == ("insufficient_funds", "6", "soft")
    assert notice.occurred_at == datetime(2022, 9, 27, 9, 13, 51, 404000, UTC)


@pytest.mark.parametrize("change", [{"action": "sent_to_the_moon"}, {"resource_type": "balloons"}])
def test_a_new_word_is_kept_and_means_nothing(change: dict[str, str]) -> None:
    (notice,) = account().parse(a_callback(an_event(**change))).notices
    assert notice.kind is None


def test_a_mandate_is_read_likewise() -> None:
    event = an_event(
        resource_type="mandates",
        action="cancelled",
        links={"mandate": "MD1"},
        resource_metadata={"mandate_id": str(DEBIT)},
    )
    (notice,) = account().parse(a_callback(event)).notices
    assert (notice.kind, notice.provider_ref, notice.named_id) == ("mandate_cancelled", "MD1", DEBIT)
    assert (notice.reason_class, notice.ends_mandate) == (None, False)


@needs_testdata
def test_every_documented_action_means_something() -> None:
    with (SAMPLES / "codes/gocardless_event_causes.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["resource_type"] in ("payments", "mandates")]
    assert len(rows) > 250
    links = {"payment": "PM1", "mandate": "MD1"}
    for row in rows:
        event = an_event(resource_type=row["resource_type"], action=row["action"], links=links)
        (notice,) = account().parse(a_callback(event)).notices
        assert notice.kind, row


def test_a_debit_that_the_provider_tries_again_is_still_on_its_way() -> None:
    details = {"cause": "insufficient_funds", "will_attempt_retry": True}
    (notice,) = account().parse(a_callback(an_event(details=details))).notices
    assert notice.kind == "noted"


@pytest.mark.parametrize(
    "change",
    [
        {"id": None},
        {"id": ""},
        {"id": "x" * 3000},
        {"created_at": "yesterday"},
        {"created_at": "2022-09-27T09:13:51"},
        {"created_at": "0001-01-01T00:00:00+14:00"},
        {"created_at": "9999-12-31T23:59:59Z"},
        {"created_at": "1999-12-31T23:59:59Z"},
        {"links": {}},
        {"links": []},
        {"links": {"payment": "x" * 3000}},
        {"resource_type": 7},
    ],
)
def test_an_unreadable_event_is_trouble_and_spoils_no_other(change: dict[str, Any]) -> None:
    heard = account().parse(a_callback(an_event(**change), an_event(id="EV2")))
    assert [notice.event_id for notice in heard.notices] == ["EV2"]
    assert heard.trouble == "1 of 2 events cannot be read"


@pytest.mark.parametrize("metadata", [None, [], {}, {"debit_id": None}, {"debit_id": "mine"}, {"debit_id": 7}])
def test_a_payment_of_somebody_else_names_no_debit(metadata: Any) -> None:
    (notice,) = account().parse(a_callback(an_event(resource_metadata=metadata))).notices
    assert notice.named_id is None


@pytest.mark.parametrize("details", [None, [], "x", {}, {"cause": 7}, {"cause": ["a"]}])
def test_a_failure_without_a_cause_is_hard(details: Any) -> None:
    (notice,) = account().parse(a_callback(an_event(details=details))).notices
    assert (notice.kind, notice.reason_class, notice.ends_mandate) == ("failed", "hard", False)


@pytest.mark.parametrize(
    "raw",
    [
        b"not json",
        b"",
        b"\xff\xfe",
        b"\x00",
        b"\xef\xbb\xbf{}",
        b'{"events": [], "events": []}',
        b'{"events": [NaN]}',
        b'{"events": [-Infinity]}',
        b'{"events": ["\\u0000"]}',
        b'{"events": ["\\ud800"]}',
        b'{"\\u0000": 1}',
        b"[" * 21 + b"]" * 21,
        b"[" * 10_000 + b"]" * 10_000,
        b"[" * 1_000_000,
        b"9" * 10_000,
        b"[]",
        b"7",
        b"null",
        b"{}",
        b'{"events": {}}',
        json.dumps({"events": [{}] * 251}).encode(),
    ],
)
def test_a_callback_that_is_not_one_is_trouble_and_no_error(raw: bytes) -> None:
    heard = account().parse(raw)
    assert heard.trouble
    assert not heard.notices


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*an_event(), "payment"]), inner),
    max_leaves=20,
)


@hypothesis.given(ANYTHING)
def test_whatever_an_event_holds_reading_it_never_fails(anything: Any) -> None:
    account().parse(json.dumps({"events": [anything]}).encode())
    for name in an_event():
        account().parse(a_callback(an_event(**{name: anything})))


@hypothesis.given(st.binary(max_size=60))
def test_whatever_bytes_come_reading_them_never_fails(raw: bytes) -> None:
    account().parse(raw)
    account().signed_by({"Webhook-Signature": raw.decode("latin-1")}, raw)


def test_what_has_one_meaning_is_read() -> None:
    assert read(b"[" * 20 + b"]" * 20)
    assert read('{"a": [1, 1.5, 1e999, "é", null, true]}'.encode()) == {"a": [1, "1.5", "1e999", "é", None, True]}
    with pytest.raises(Unreadable, match="too deep"):
        read(b'{"a":' * 21 + b"1" + b"}" * 21)


@needs_testdata
def test_every_documented_cause_has_a_class_and_only_two_are_soft() -> None:
    with (SAMPLES / "codes/gocardless_event_causes.csv").open() as file:
        causes = {row["cause"] for row in csv.DictReader(file)}
    assert len(causes) > 50
    assert {cause for cause in causes if reason_class(cause) == "soft"} == {"insufficient_funds", "refer_to_payer"}
    assert reason_class(None) == reason_class("a cause of tomorrow") == "hard"


def test_neither_token_nor_secrets_show() -> None:
    shown = repr(account())
    assert "token=" not in shown
    assert "secret" not in shown.replace("secrets", "")
