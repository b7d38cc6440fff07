"""What the provider is asked, and what its answers mean, without any server."""

import json
from datetime import date
from typing import Any
from uuid import UUID

import httpx
import pytest

from services.directdebit.bank import Absent, Accepted, PayerAccount, Payment, Refused, Said, Unknown
from services.directdebit.bank.gocardless import SAYS, GoCardless
from tests.directdebit.test_gocardless import DEBIT, account

MADE = date(2022, 9, 27)


async def look_up(bank: GoCardless) -> object:
    body = bank.write(Payment(DEBIT, "MD1", 30000, "AUD", date(2022, 9, 27)))
    return await bank.look_up(DEBIT, body, MADE)


def conflict(**first: Any) -> httpx.Response:
    return httpx.Response(409, json={"error": {"type": "invalid_state", "code": 409, "errors": [first]}})


REPEATED = {"reason": "idempotent_creation_conflict", "links": {"conflicting_resource_id": "PM9"}}
INVALID = {"error": {"type": "validation_failed", "errors": [{"field": "mandate", "message": "could not be found"}]}}
TOO_LATE = {"error": {"type": "validation_failed", "errors": [{"field": "charge_date", "message": "is over"}]}}


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (httpx.Response(201, json={"payments": {"id": "PM1"}}), Accepted("PM1")),
        (conflict(**REPEATED), Accepted("PM9")),
        (httpx.Response(422, json=INVALID), Refused("mandate", ends_mandate=True)),
        (httpx.Response(422, json=TOO_LATE), Refused("charge_date", too_late=True)),
        (conflict(reason="mandate_not_active"), Refused("mandate_not_active", ends_mandate=True)),
        (httpx.Response(400, json={"error": {"type": "invalid_api_usage"}}), Refused("invalid_api_usage")),
        (httpx.Response(201, text="ok"), Unknown("an answer that names nothing")),
        (httpx.Response(201, json={"payments": {"id": 7}}), Unknown("an answer that names nothing")),
        (conflict(reason="idempotent_creation_conflict"), Unknown("a conflict that names nothing")),
        (httpx.Response(422, text="<html>"), Unknown("answered 422")),
        (httpx.Response(409, json=[]), Unknown("answered 409")),
        *((httpx.Response(code, json=INVALID), Unknown(f"answered {code}")) for code in (302, 401, 403, 404, 429)),
        *((httpx.Response(code, text="?"), Unknown(f"answered {code}")) for code in (500, 502, 503)),
    ],
)
async def test_only_the_providers_own_word_is_a_yes_or_a_no(answer: httpx.Response, outcome: object) -> None:
    assert await account(lambda _: answer).submit(DEBIT, "{}") == outcome


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError])
async def test_no_answer_is_unknown(error: type[httpx.TransportError]) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error("gone")

    assert await account(fail).submit(DEBIT, "{}") == Unknown(error.__name__)
    assert await look_up(account(fail)) == Unknown(error.__name__)


async def test_the_bytes_go_out_as_they_were_written_under_the_key_of_the_debit() -> None:
    seen: list[httpx.Request] = []

    def keep(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(201, json={"payments": {"id": "PM1"}})

    bank = account(keep)
    body = bank.write(Payment(DEBIT, "MD1", 30000, "AUD", date(2022, 9, 27)))
    await bank.submit(DEBIT, body)
    (request,) = seen
    assert request.content == body.encode()
    assert request.headers["Idempotency-Key"] == str(DEBIT)
    sent = json.loads(body)["payments"]
    assert (sent["amount"], sent["charge_date"]) == (30000, "2022-09-27")
    assert (sent["links"], sent["metadata"]) == ({"mandate": "MD1"}, {"debit_id": str(DEBIT)})


def listed(*payments: tuple[str, UUID | str], after: str | None = None) -> httpx.Response:
    found = [{"id": ref, "metadata": {"debit_id": str(of)}} for ref, of in payments]
    return httpx.Response(
        200, json={"payments": found, "meta": {"cursors": {"before": None, "after": after}, "limit": 500}}
    )


WITHOUT_ITS_END = httpx.Response(200, json={"payments": [], "meta": {"limit": 500}})
NO_PAYMENT = httpx.Response(200, json={"payments": ["PM1"], "meta": {"cursors": {"after": None}}})


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (listed(), Absent()),
        (listed(("PM1", DEBIT)), Accepted("PM1")),
        (listed(("PM1", "other"), ("PM2", DEBIT)), Accepted("PM2")),
        (listed(("PM1", DEBIT), ("PM2", DEBIT)), Unknown("look-up found 2 payments")),
        (httpx.Response(200, json={}), Unknown("look-up answered 200")),
        (WITHOUT_ITS_END, Unknown("look-up answered 200")),
        (NO_PAYMENT, Unknown("look-up listed what cannot be read")),
        (httpx.Response(404, json={"payments": []}), Unknown("look-up answered 404")),
    ],
)
async def test_a_look_up_finds_one_payment_or_none(answer: httpx.Response, outcome: object) -> None:
    assert await look_up(account(lambda _: answer)) == outcome


async def test_a_look_up_asks_for_what_the_provider_can_filter_and_reads_to_the_end() -> None:
    pages = [listed(("PM1", "other"), after="PM1"), listed(("PM2", DEBIT), after="PM2"), listed(("PM3", "other"))]
    asked: list[dict[str, str]] = []

    def turn(request: httpx.Request) -> httpx.Response:
        asked.append(dict(request.url.params))
        return pages[len(asked) - 1]

    assert await look_up(account(turn)) == Accepted("PM2")
    filters = {"mandate": "MD1", "created_at[gte]": "2022-09-25T00:00:00.000Z", "limit": "500"}
    assert asked == [filters, filters | {"after": "PM1"}, filters | {"after": "PM2"}]


@pytest.mark.parametrize("last", [httpx.Response(500), listed(("PM9", "other"), after="PM9")])
async def test_a_list_that_is_not_read_to_its_end_says_nothing_is_absent(last: httpx.Response) -> None:
    pages = iter([listed(("PM1", "other"), after="PM1")])
    assert isinstance(await look_up(account(lambda _: next(pages, last))), Unknown)


ACCOUNT = PayerAccount("Ana Maria Reyes", "082-082", "012345678")


def creditor(seen: list[tuple[str, str, Any]], answers: dict[str, httpx.Response]) -> GoCardless:
    """The provider, that makes one thing of each kind unless told to answer otherwise."""

    def make(request: httpx.Request) -> httpx.Response:
        kind = request.url.path.strip("/")
        seen.append((kind, request.headers["Idempotency-Key"], json.loads(request.content)[kind]))
        return answers.get(kind) or httpx.Response(201, json={kind: {"id": f"{kind[:2].upper()}1"}})

    return account(make)


async def test_a_payer_is_registered_in_three_steps_each_under_a_key_of_its_own() -> None:
    seen: list[tuple[str, str, Any]] = []
    assert await creditor(seen, {}).register(DEBIT, ACCOUNT) == Accepted("MA1")
    assert [(kind, key) for kind, key, _ in seen] == [
        (kind, f"{kind}-{DEBIT}") for kind in ("customers", "customer_bank_accounts", "mandates")
    ]
    customer, details, mandate = (body for _, _, body in seen)
    assert (customer["given_name"], customer["family_name"]) == ("Ana Maria", "Reyes")
    assert (details["account_number"], details["links"]) == ("012345678", {"customer": "CU1"})
    assert (mandate["links"], mandate["metadata"]) == ({"customer_bank_account": "CU1"}, {"mandate_id": str(DEBIT)})


@pytest.mark.parametrize(
    ("kind", "answer", "outcome"),
    [
        ("customers", httpx.Response(503), Unknown("answered 503")),
        ("mandates", conflict(**REPEATED), Accepted("PM9")),
        (
            "customer_bank_accounts",
            conflict(reason="bank_account_exists", links={"customer_bank_account": "BA7"}),
            Accepted("MA1"),
        ),
        ("customer_bank_accounts", httpx.Response(422, json=INVALID), Refused("mandate", ends_mandate=True)),
    ],
)
async def test_a_registration_goes_on_where_it_was_and_stops_at_a_no(
    kind: str, answer: httpx.Response, outcome: object
) -> None:
    assert await creditor([], {kind: answer}).register(DEBIT, ACCOUNT) == outcome


def test_an_account_is_never_printed() -> None:
    assert "012345678" not in repr(ACCOUNT)
    assert "082-082" not in repr(ACCOUNT)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        *((httpx.Response(200, json={"payments": {"id": "PM1", "status": s}}), Said(k)) for s, k in SAYS.items()),
        (httpx.Response(200, json={"payments": {"status": "on the moon"}}), Unknown("answered 200")),
        (httpx.Response(404, json={}), Unknown("answered 404")),
    ],
)
async def test_asked_how_a_payment_stands_only_a_known_word_counts(answer: httpx.Response, outcome: object) -> None:
    assert await account(lambda _: answer).status("PM1") == outcome
