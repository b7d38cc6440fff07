"""The doors of templates on PostgreSQL: a business puts its own texts, and messages are written with them."""

from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from services.notify.rules.kinds import KINDS
from shared.events.billing import CollectionFailed
from shared.events.booking import BookingConfirmed
from tests.notify.conftest import Post
from tests.notify.letters import confirmed, failed

pytestmark = pytest.mark.servers

OWN = {"subject": "See you, $client", "body": "Dear $client,\n\nwe meet on $starts_at, for $$5.\n\nYours"}


def http(post: Post, *permissions: str, business_id: UUID | None = None) -> httpx.AsyncClient:
    token = post.room.issuer.staff(business_id or post.business_id, permissions=[*permissions])
    return post.room.http(token)


async def put(post: Post, kind: str = "booking_confirmed", **changes: Any) -> httpx.Response:
    async with http(post, "catalog.manage") as desk:
        return await desk.put(f"templates/{kind}", json=OWN | changes)


async def templates(post: Post, business_id: UUID | None = None) -> dict[str, dict[str, Any]]:
    async with http(post, "catalog.manage", business_id=business_id) as desk:
        page = (await desk.get("templates")).json()
    assert page["next_cursor"] is None
    return {template["kind"]: template for template in page["items"]}


async def book(post: Post) -> dict[str, Any]:
    """Confirm another booking; the message that tells of it."""
    event = BookingConfirmed.model_validate(confirmed(post.client_id))
    await post.hear(event)
    written = await post.settled()
    (message,) = (message for message in written if message["key"].endswith(str(event.booking_id)))
    return message


async def test_every_kind_is_listed_with_its_fields_and_our_text(post: Post) -> None:
    listed = await templates(post)
    assert list(listed) == list(KINDS)
    assert not any(template["own"] for template in listed.values())
    cancelled = listed["booking_cancelled"]
    assert cancelled["purpose"] == "To a client whose booking is cancelled."
    assert cancelled["subject"] == "Cancelled: $session_date"
    assert cancelled["fields"][-1] == {
        "name": "reason_sentence",
        "says": "the reason that was given, as a sentence",
        "may_be_empty": True,
    }


async def test_a_message_is_written_with_the_text_that_the_business_has_put_by_then(post: Post) -> None:
    before = await book(post)
    assert (await put(post)).json()["own"]
    own = await book(post)
    assert (own["subject"], own["body"]) == (
        "See you, Ana",
        "Dear Ana,\n\nwe meet on Thursday 15 September 2022 at 10:00, for $5.\n\nYours\n",
    )
    assert post.mail()[-1].subject == "See you, Ana"
    await put(post, subject="Soon")
    assert [message["subject"] for message in await post.messages()] == [before["subject"], "See you, Ana"]
    assert (await book(post))["subject"] == "Soon"


async def test_a_text_that_is_put_replaces_the_one_before_and_no_other_kind(post: Post) -> None:
    ours = await templates(post)
    await put(post)
    answer = (await put(post, subject="Soon")).json()
    listed = await templates(post)
    assert listed["booking_confirmed"] == answer == ours["booking_confirmed"] | OWN | {"subject": "Soon", "own": True}
    assert {kind for kind in listed if listed[kind] != ours[kind]} == {"booking_confirmed"}


async def test_dropping_a_text_brings_ours_back_any_number_of_times(post: Post) -> None:
    ours = await templates(post)
    await put(post)
    async with http(post, "catalog.manage") as desk:
        answers = [await desk.delete("templates/booking_confirmed") for _ in range(2)]
    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, ours["booking_confirmed"])] * 2
    assert await templates(post) == ours
    assert (await book(post))["subject"] == "Booked: Thursday 15 September 2022 at 10:00"


async def test_payer_and_staff_have_texts_of_their_own(post: Post) -> None:
    await put(post, "collection_failed_for_staff", subject="Call $payer", body="$failure_sentence")
    await post.hear(CollectionFailed.model_validate(failed(post.client_id)))
    subjects = {message["recipient"]: message["subject"] for message in await post.settled()}
    assert subjects == {str(post.client_id): "Invoice 7: payment declined", "business": "Call Ana"}


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        (
            {"body": "Hi $name"},
            "unknown-field",
            "body: $name: no field of this kind of message. Its fields are $client, $business, $starts_at.",
        ),
        ({"subject": "For $5"}, "lone-dollar", "subject: Write $$ for a dollar sign"),
        ({"subject": "a\nBcc: all@x.example"}, "invalid", "subject: "),
        ({"subject": "x" * 201}, "invalid", "subject: "),
        ({"subject": " "}, "invalid", "subject: "),
        ({"body": "x" * 5001}, "invalid", "body: "),
        ({"body": "\n"}, "invalid", "body: "),
        ({"body": None}, "invalid", "body: "),
        ({"text": "x"}, "invalid", "text: "),
    ],
)
async def test_a_text_that_will_not_do_is_refused_by_its_part(
    post: Post, changes: dict[str, Any], code: str, says: str
) -> None:
    answer = await put(post, **changes)
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, f"urn:punchcard:problem:{code}")
    assert problem["detail"].startswith(says)
    assert [error["field"] for error in problem["errors"]] == [says.partition(":")[0]]
    assert not (await templates(post))["booking_confirmed"]["own"]


@pytest.mark.parametrize("verb", ["PUT", "DELETE"])
async def test_a_kind_that_there_is_not_is_not_found(post: Post, verb: str) -> None:
    async with http(post, "catalog.manage") as desk:
        answer = await desk.request(verb, "templates/birthday", json=OWN if verb == "PUT" else None)
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:punchcard:problem:no-such-kind")
    assert "instalment_overdue" in answer.json()["detail"]


async def test_another_business_has_texts_of_its_own(post: Post) -> None:
    await put(post)
    other = await post.room.business()
    assert not any(template["own"] for template in (await templates(post, other)).values())
    async with http(post, "catalog.manage", business_id=other) as neighbour:
        await neighbour.delete("templates/booking_confirmed")
        assert (await templates(post))["booking_confirmed"]["subject"] == OWN["subject"]
        await neighbour.put("templates/booking_confirmed", json=OWN | {"subject": "Theirs"})
    assert (await templates(post))["booking_confirmed"]["subject"] == OWN["subject"]
    async with post.room.inside(other) as db:
        assert list(await db.scalars(text("select subject from templates"))) == ["Theirs"]


@pytest.mark.parametrize(
    ("permission", "reading", "changing"),
    [("catalog.manage", 200, 200), ("report.view", 200, 403), ("booking.manage", 200, 403), ("package.sell", 403, 403)],
)
async def test_staff_need_a_permission(post: Post, permission: str, reading: int, changing: int) -> None:
    async with http(post, permission) as staff:
        assert (await staff.get("templates")).status_code == reading
        assert (await staff.put("templates/booking_confirmed", json=OWN)).status_code == changing
        assert (await staff.delete("templates/booking_confirmed")).status_code == changing


async def test_clients_neither_read_nor_change_templates(post: Post) -> None:
    async with post.room.http(post.room.issuer.client(post.business_id, post.client_id)) as client:
        assert (await client.get("templates")).status_code == 403
        assert (await client.put("templates/booking_confirmed", json=OWN)).status_code == 403
        assert (await client.delete("templates/booking_confirmed")).status_code == 403
