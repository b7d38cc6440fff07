"""Notify's doors on PostgreSQL, with a real mail server that keeps what it gets."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import text

from services.notify.channels import Outgoing, Undeliverable
from services.notify.channels.email import Email
from services.notify.rules.kinds import KINDS, KindName
from shared import failpoints
from shared.events import Event
from shared.events.billing import CollectionFailed, InstalmentOverdue, InvoiceIssued
from shared.events.booking import BookingCancelled, BookingConfirmed
from shared.events.catalog import ClientChanged
from shared.ids import new_id
from tests.harness.terms import sold
from tests.notify.conftest import Post
from tests.notify.letters import cancelled, confirmed, failed, invoiced, overdue

pytestmark = pytest.mark.servers


def news(post: Post) -> list[Event]:
    return [
        sold(post.client_id),
        BookingConfirmed.model_validate(confirmed(post.client_id)),
        BookingCancelled.model_validate(cancelled(post.client_id)),
        InvoiceIssued.model_validate(invoiced(post.client_id)),
        CollectionFailed.model_validate(failed(post.client_id)),
        InstalmentOverdue.model_validate(overdue(post.client_id)),
    ]


async def test_each_kind_of_news_is_one_mail(post: Post) -> None:
    events = news(post)
    await asyncio.gather(*(post.hear(*events) for _ in range(4)))
    messages = await post.settled()
    assert [message["state"] for message in messages] == ["sent"] * 7
    assert {mail.subject for mail in post.mail()} == {
        "Your package: 10 sessions",
        "Booked: Thursday 15 September 2022 at 10:00",
        "Cancelled: Thursday 15 September 2022",
        "Invoice 7: AUD 1,100.00",
        "Invoice 7: payment declined",
        "Invoice 7: AUD 220.00 is overdue",
    }
    assert len({mail.message_id for mail in post.mail()}) == len(post.mail()) == 6
    (staff,) = (message for message in messages if message["recipient"] == "business")
    assert (staff["address"], staff["subject"]) == ("desk@studio.example", "Debit declined: Ana, invoice 7")


async def test_the_mail_is_the_message_that_is_kept(post: Post) -> None:
    await post.hear(InvoiceIssued.model_validate(invoiced(post.client_id)))
    (message,) = await post.settled()
    (mail,) = post.mail()
    assert mail.message_id == f"<{message['message_id']}@notify.punchcard>"
    assert (mail.subject, mail.text.replace("\r\n", "\n")) == (message["subject"], message["body"])
    assert mail.sender == "no-reply@studio.example"


async def test_news_about_somebody_not_yet_known_waits(post: Post) -> None:
    client_id = new_id()
    event = sold(client_id)
    await post.hear(event)
    assert await post.messages() == []
    await post.hear(post.ana(post.address, client_id=client_id))
    async with asyncio.timeout(20):
        while not (messages := await post.messages()):  # noqa: ASYNC110 — it is in the database
            await asyncio.sleep(0.05)
    assert [message["recipient"] for message in messages] == [str(client_id)]
    await post.settled()


async def test_invoices_that_come_in_one_list_are_written_as_if_each_came_alone(post: Post) -> None:
    erased, mute, unknown = new_id(), new_id(), new_id()
    await post.hear(
        post.ana(None, client_id=mute),
        ClientChanged(client_id=erased, sequence=2, name="erased", email=None, active=False, erased=True),
    )
    again = InvoiceIssued.model_validate(invoiced(post.client_id))
    others = [InvoiceIssued.model_validate(invoiced(payer_id)) for payer_id in (post.client_id, mute, erased)]
    await post.hear(again)
    await post.hear(again, *others, again)
    await post.hear(*(InvoiceIssued.model_validate(invoiced(payer_id)) for payer_id in (post.client_id, unknown)))
    written = await post.settled()
    assert Counter((message["recipient"], message["state"], message["reason"]) for message in written) == {
        (str(post.client_id), "sent", None): 3,
        (str(mute), "skipped", "no e-mail address"): 1,
        (str(erased), "skipped", "the client is erased"): 1,
    }
    assert len(post.mail()) == 3
    await post.hear(post.ana(None, client_id=unknown))
    async with asyncio.timeout(20):
        while len(await post.messages()) == len(written):  # noqa: ASYNC110 — it is in the database
            await asyncio.sleep(0.05)
    assert str(unknown) in {message["recipient"] for message in await post.messages()}


async def test_without_an_address_a_message_is_skipped_visibly(post: Post) -> None:
    await post.hear(post.ana(None, sequence=2))
    await post.hear(*news(post))
    messages = await post.settled()
    skipped = [message for message in messages if message["recipient"] == str(post.client_id)]
    assert [(message["state"], message["reason"]) for message in skipped] == [("skipped", "no e-mail address")] * 6
    assert post.mail() == []


async def test_a_confirmation_that_comes_after_the_cancellation_is_not_sent(post: Post) -> None:
    booking_id = new_id()
    await post.hear(BookingCancelled.model_validate(cancelled(post.client_id, booking_id=booking_id)))
    await post.hear(BookingConfirmed.model_validate(confirmed(post.client_id, booking_id=booking_id)))
    assert [message["state"] for message in await post.settled()] == ["sent", "skipped"]
    assert len(post.mail()) == 1


async def test_a_claimed_debit_is_told_to_staff_only(post: Post) -> None:
    claimed = CollectionFailed.model_validate(failed(post.client_id, what="claimed", reason_class="hard"))
    await asyncio.gather(*(post.hear(claimed) for _ in range(3)))
    (message,) = await post.settled()
    assert (message["recipient"], message["subject"]) == ("business", "Debit claimed: Ana, invoice 7")
    assert post.mail() == []


async def test_a_debit_that_fails_again_is_told_once_and_another_debit_is_news(post: Post) -> None:
    usual = failed(post.client_id)
    again = usual | {"what": "returned", "attempt_no": 2}
    another = again | {"debit_id": new_id()}
    await post.hear(*(CollectionFailed.model_validate(event) for event in (usual, again, another)))
    await post.settled()
    subjects = sorted(mail.subject for mail in post.mail())
    assert subjects == ["Invoice 7: payment declined", "Invoice 7: payment returned"]


async def test_an_overdue_instalment_is_reminded_of_once_and_the_next_one_by_itself(post: Post) -> None:
    usual = overdue(post.client_id)
    other = usual | {"instalment_id": new_id(), "due_date": "2022-09-27"}
    await post.hear(*(InstalmentOverdue.model_validate(event) for event in (usual, usual, other)))
    written = {message["key"]: message["body"] for message in await post.settled()}
    assert len(post.mail()) == len(written) == 2
    assert "Tuesday 13 September 2022" in written[f"instalment_overdue:{usual['instalment_id']}"]
    assert "Tuesday 27 September 2022" in written[f"instalment_overdue:{other['instalment_id']}"]


@pytest.mark.parametrize("kind", KINDS)
async def test_messages_are_listed_by_their_kind(post: Post, kind: KindName) -> None:
    await post.hear(*news(post))
    await post.settled()
    (message,) = await post.messages(kind=kind)
    told, staff = kind.removesuffix("_for_staff"), kind.endswith("_for_staff")
    assert message["key"].partition(":")[0] == told
    assert message["recipient"] == ("business" if staff else str(post.client_id))


async def test_a_mail_handed_over_before_a_crash_comes_again_under_the_same_id(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashes = ["first"]

    def crash(name: str) -> None:
        if name == "send.handed_over" and crashes:
            raise RuntimeError(crashes.pop())

    monkeypatch.setattr(failpoints, "hit", crash)
    await post.hear(sold(post.client_id))
    (message,) = await post.settled()
    assert message["state"] == "sent"
    assert [mail.message_id for mail in post.mail()] == [f"<{message['message_id']}@notify.punchcard>"] * 2


@pytest.mark.parametrize("final", [True, False])
async def test_an_undeliverable_message_is_failed_and_a_passing_trouble_is_not(
    post: Post, monkeypatch: pytest.MonkeyPatch, final: bool
) -> None:
    tries: list[str] = []
    deliver = Email.send

    async def refuse(channel: Email, message: Outgoing) -> None:
        tries.append(message.internet_id)
        if final:
            raise Undeliverable("the address was refused: [550]")
        if len(tries) == 1:
            raise ConnectionError
        await deliver(channel, message)

    monkeypatch.setattr(Email, "send", refuse)
    await post.hear(sold(post.client_id))
    (message,) = await post.settled()
    assert message["state"] == ("failed" if final else "sent")
    assert message["reason"] == ("the address was refused: [550]" if final else None)
    assert len(tries) == (1 if final else 2)


async def test_a_client_reads_their_own_and_nobody_elses(post: Post) -> None:
    await post.hear(*news(post))
    await post.settled()
    other = new_id()
    for client_id, count in ((post.client_id, 6), (other, 0)):
        async with post.room.http(post.room.issuer.client(post.business_id, client_id)) as http:
            listed = await http.get("messages", params={"client_id": str(post.client_id)})
        assert len(listed.json()["items"]) == count
    assert await post.messages(client_id=str(other)) == []
    assert len(await post.messages(client_id=str(post.client_id), state="sent")) == 6


@pytest.mark.parametrize(
    ("permission", "status"), [("report.view", 200), ("booking.manage", 200), ("mandate.manage", 403)]
)
async def test_staff_need_a_permission_to_read(post: Post, permission: str, status: int) -> None:
    token = post.room.issuer.staff(post.business_id, permissions=[permission])
    async with post.room.http(token) as http:
        assert (await http.get("messages")).status_code == status


async def test_another_business_sees_nothing(post: Post) -> None:
    await post.hear(*news(post))
    await post.settled()
    other = await post.room.business()
    async with post.room.http(post.room.issuer.staff(other)) as http:
        listed: dict[str, Any] = (await http.get("messages")).json()
    assert listed["items"] == []
    async with post.room.inside(other) as db:
        assert list(await db.execute(text("select * from messages"))) == []


@pytest.mark.parametrize(
    ("spoil", "invariant"),
    [
        (
            "update messages set state = 'queued', sent_at = null, written_at = now() - interval '2 days'",
            "a message waits for a day",
        ),
        ("update messages set state = 'queued', sent_at = null", "nobody sends a message that waits to be sent"),
        ("update messages set state = 'failed', sent_at = null", "a message was not sent and does not say why"),
    ],
)
async def test_an_invariant_turns_red(post: Post, spoil: str, invariant: str) -> None:
    await post.hear(sold(post.client_id))
    await post.settled()
    async with post.room.inside(post.business_id) as db:
        await db.execute(text(spoil))
        assert list(await db.execute(text(post.room.running.service.invariants[invariant])))
        await db.rollback()
