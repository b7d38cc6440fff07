"""What the provider is asked, and what its answers mean, without any server."""

import json
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest

from services.directdebit.bank import Absent, Accepted, Payment, Refused, Unknown
from services.directdebit.bank.gocardless import GoCardless
from tests.directdebit.test_gocardless import DEBIT, account

SENT_AT = datetime(2022, 9, 27, 9, 30, tzinfo=UTC)


async def look_up(bank: GoCardless) -> object:
    body = bank.write(Payment(DEBIT, "MD1", 30000, "AUD", date(2022, 9, 27)))
    return await bank.look_up(DEBIT, body, SENT_AT)


def conflict(**first: Any) -> httpx.Response:
    return httpx.Response(409, json={"error": {"type": "invalid_state", "code": 409, "errors": [first]}})


REPEATED = {"reason": "idempotent_creation_conflict", "links": {"conflicting_resource_id": "PM9"}}
INVALID = {"error": {"type": "validation_failed", "errors": [{"field": "mandate", "message": "could not be found"}]}}


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (httpx.Response(201, json={"payments": {"id": "PM1"}}), Accepted("PM1")),
        (conflict(**REPEATED), Accepted("PM9")),
        (httpx.Response(422, json=INVALID), Refused("mandate")),
        (conflict(reason="mandate_not_active"), Refused("mandate_not_active")),
        (httpx.Response(400, json={"error": {"type": "invalid_api_usage"}}), Refused("invalid_api_usage")),
        (httpx.Response(201, text="ok"), Unknown("an answer without a payment")),
        (httpx.Response(201, json={"payments": {"id": 7}}), Unknown("an answer without a payment")),
        (conflict(reason="idempotent_creation_conflict"), Unknown("a conflict without a payment")),
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
    filters = {"mandate": "MD1", "created_at[gte]": "2022-09-26T09:30:00.000Z", "limit": "500"}
    assert asked == [filters, filters | {"after": "PM1"}, filters | {"after": "PM2"}]


@pytest.mark.parametrize("last", [httpx.Response(500), listed(("PM9", "other"), after="PM9")])
async def test_a_list_that_is_not_read_to_its_end_says_nothing_is_absent(last: httpx.Response) -> None:
    pages = iter([listed(("PM1", "other"), after="PM1")])
    assert isinstance(await look_up(account(lambda _: next(pages, last))), Unknown)
