"""Booking's doors on PostgreSQL; the test speaks for catalog and packages."""

import asyncio
import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from shared.events.booking import BookingCancelled, BookingConfirmed, HoldRequested
from shared.events.catalog import ClientChanged
from shared.events.packages import HoldRefused, HoldsMoved, SessionHeld
from shared.ids import new_id
from tests.harness.room import Room

pytestmark = pytest.mark.servers

NOW = datetime(2022, 9, 9, 0, 0, tzinfo=UTC)
TOMORROW = NOW + timedelta(days=1)


@dataclass
class Studio:
    """A business with one of each, and the tokens of its people."""

    business_id: UUID
    client_id: UUID
    practitioner_id: UUID
    service_id: UUID
    desk: str
    client: str

    def order(self, **changes: object) -> dict[str, str]:
        order = {
            "client_id": self.client_id,
            "service_id": self.service_id,
            "practitioner_id": self.practitioner_id,
            "starts_at": TOMORROW.isoformat(),
        }
        return {name: str(value) for name, value in (order | changes).items()}


@pytest.fixture
async def studio(booking: Room) -> Studio:
    business_id = await booking.business(test_now=NOW)
    client_id, practitioner_id, service_id = await booking.introduce(business_id)
    return Studio(
        business_id,
        client_id,
        practitioner_id,
        service_id,
        booking.issuer.staff(business_id),
        booking.issuer.client(business_id, client_id),
    )


async def held(booking: Room, studio: Studio, booking_id: UUID, **terms: object) -> None:
    """Packages answers that it holds a session."""
    answer = {"late_cancel_hours": 0, "last_usable_date": None, "needs_approval": False} | terms
    await booking.hear(
        studio.business_id, SessionHeld.model_validate({"package_id": new_id(), "booking_id": booking_id} | answer)
    )


async def test_a_booking_waits_for_packages_then_is_a_place(booking: Room, studio: Studio) -> None:
    async with booking.http(studio.client) as http:
        answer = await http.post("bookings", json=studio.order(), headers={"Prefer": "respond-async"})
        assert answer.status_code == 202, answer.text
        assert answer.headers["Retry-After"] == "1"
        booking_id = UUID(answer.json()["booking_id"])
        assert [f.booking_id for f in await booking.facts(studio.business_id, HoldRequested)] == [booking_id]  # type: ignore[attr-defined]
        await held(booking, studio, booking_id)
        shown = await http.get(f"bookings/{booking_id}")
    assert shown.json()["state"] == "confirmed"
    assert len(await booking.facts(studio.business_id, BookingConfirmed)) == 1


async def test_the_same_key_books_once_and_shows_the_present_state(booking: Room, studio: Studio) -> None:
    headers = {"Prefer": "respond-async", "Idempotency-Key": f"key-{new_id()}"}
    async with booking.http(studio.client) as http:
        first = await http.post("bookings", json=studio.order(), headers=headers)
        await held(booking, studio, UUID(first.json()["booking_id"]))
        again = await http.post("bookings", json=studio.order(), headers=headers)
        other = await http.post("bookings", json=studio.order(starts_at=NOW), headers=headers)
    assert again.status_code == 201
    assert again.json()["booking_id"] == first.json()["booking_id"]
    assert other.status_code == 422
    assert other.json()["type"] == "urn:punchcard:problem:key-reused"


async def test_a_refused_hold_is_a_conflict_with_the_reason(booking: Room, studio: Studio) -> None:
    headers = {"Prefer": "respond-async", "Idempotency-Key": f"key-{new_id()}"}
    async with booking.http(studio.client) as http:
        booking_id = (await http.post("bookings", json=studio.order(), headers=headers)).json()["booking_id"]
        await booking.hear(studio.business_id, HoldRefused(booking_id=booking_id, reason="no_sessions_left"))
        answer = await http.post("bookings", json=studio.order(), headers=headers)
        freed = await http.post("bookings", json=studio.order(), headers={"Prefer": "respond-async"})
    assert answer.status_code == 409
    assert answer.json()["reason"] == "no_sessions_left"
    assert freed.status_code == 202, "the practitioner's time is free again"


async def test_two_clients_want_the_same_practitioner_and_one_gets_the_time(booking: Room, studio: Studio) -> None:
    async with booking.http(studio.desk) as http:
        answers = await asyncio.gather(
            *(http.post("bookings", json=studio.order(), headers={"Prefer": "respond-async"}) for _ in range(6))
        )
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409, 409, 409]
    assert {a.json()["type"] for a in answers if a.status_code == 409} == {"urn:punchcard:problem:practitioner-busy"}


async def test_a_booking_that_needs_approval_waits_for_staff(booking: Room, studio: Studio) -> None:
    async with booking.http(studio.desk) as http:
        answer = await http.post("bookings", json=studio.order(), headers={"Prefer": "respond-async"})
        booking_id = UUID(answer.json()["booking_id"])
        await held(booking, studio, booking_id, needs_approval=True)
        assert (await http.get(f"bookings/{booking_id}")).json()["state"] == "requested"
        assert (await http.post(f"bookings/{booking_id}/approve")).json()["state"] == "confirmed"
        assert (await http.post(f"bookings/{booking_id}/approve")).status_code == 409


async def test_a_cancel_sent_eight_times_at_once_happens_once(booking: Room, studio: Studio) -> None:
    async with booking.http(studio.client) as http:
        answer = await http.post("bookings", json=studio.order(), headers={"Prefer": "respond-async"})
        booking_id = UUID(answer.json()["booking_id"])
        await held(booking, studio, booking_id)
        answers = await asyncio.gather(*(http.post(f"bookings/{booking_id}/cancel", json={}) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    (fact,) = await booking.facts(studio.business_id, BookingCancelled)
    assert isinstance(fact, BookingCancelled)
    assert fact.returns_session


async def test_a_client_sees_and_books_only_for_themselves(booking: Room, studio: Studio) -> None:
    stranger = booking.issuer.client(studio.business_id, new_id())
    async with booking.http(studio.client) as http:
        answer = await http.post("bookings", json=studio.order(), headers={"Prefer": "respond-async"})
        booking_id = answer.json()["booking_id"]
    async with booking.http(stranger) as http:
        assert (await http.get(f"bookings/{booking_id}")).status_code == 404
        assert (await http.post(f"bookings/{booking_id}/cancel", json={})).status_code == 404
        assert (await http.get("bookings")).json()["items"] == []
        assert (await http.post("bookings", json=studio.order())).status_code == 403


async def test_another_business_never_sees_a_booking(booking: Room, studio: Studio) -> None:
    other = booking.issuer.staff(await booking.business())
    async with booking.http(studio.desk) as http:
        answer = await http.post("bookings", json=studio.order(), headers={"Prefer": "respond-async"})
        booking_id = answer.json()["booking_id"]
    async with booking.http(other) as http:
        assert (await http.get(f"bookings/{booking_id}")).status_code == 404
        assert (await http.get("bookings")).json()["items"] == []
        for verb, body in (
            ("cancel", {}),
            ("approve", None),
            ("refuse", {"reason": "x"}),
            ("attendance", {"attended": True}),
        ):
            assert (await http.post(f"bookings/{booking_id}/{verb}", json=body)).status_code == 404


async def test_what_is_not_known_here_yet_is_waited_for_then_a_conflict(booking: Room, studio: Studio) -> None:
    newcomer = new_id()
    async with booking.http(studio.desk) as http:
        refused = await http.post("bookings", json=studio.order(client_id=newcomer))
        assert refused.status_code == 409
        assert refused.headers["Retry-After"] == "1"
        asked = asyncio.create_task(
            http.post("bookings", json=studio.order(client_id=newcomer), headers={"Prefer": "respond-async"})
        )
        await asyncio.sleep(0.2)
        news = ClientChanged(client_id=newcomer, sequence=1, name="Bo", email=None, active=True)
        await booking.hear(studio.business_id, news)
        assert (await asked).status_code == 202


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"starts_at": "tomorrow"}, "starts_at"),
        ({"client_id": "42"}, "client_id"),
        ({"starts_at": "2022-09-10T10:00:00"}, "starts_at"),
        ({"starts_at": "9999-12-31T22:59:59.999999Z"}, "starts_at"),
        ({"starts_at": "0001-01-01T00:00:00Z"}, "starts_at"),
        ({"start_at": "2022-09-10T10:00:00Z"}, "start_at"),
    ],
)
async def test_a_bad_field_is_named(booking: Room, studio: Studio, change: dict[str, str], field: str) -> None:
    async with booking.http(studio.desk) as http:
        answer = await http.post("bookings", json=studio.order(**change))
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert await booking.facts(studio.business_id) == []


async def test_a_post_without_a_key_is_refused(booking: Room, studio: Studio) -> None:
    async with booking.http(studio.desk) as http:
        answer = await http.post("bookings", json=studio.order(), headers={"Idempotency-Key": ""})
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:punchcard:problem:malformed"


async def test_a_body_beyond_the_limit_is_refused(booking: Room, studio: Studio) -> None:
    async def endless() -> object:
        for _ in range(40):
            yield b"x" * 10_000

    async with booking.http(studio.desk) as http:
        answer = await http.post("bookings", content=endless())  # type: ignore[arg-type]
    assert answer.status_code == 413
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_answers_and_a_cancellation_in_any_order_end_alike(booking: Room, studio: Studio) -> None:
    """A cancelled booking stays cancelled, whatever packages still says, and however often."""
    for order in itertools.permutations(["held", "refused", "cancelled"]):
        async with booking.http(studio.desk) as http:
            answer = await http.post("bookings", json=studio.order(), headers={"Prefer": "respond-async"})
            booking_id = UUID(answer.json()["booking_id"])
            for news in order:
                if news == "cancelled":
                    await http.post(f"bookings/{booking_id}/cancel", json={})
                elif news == "held":
                    await held(booking, studio, booking_id)
                    await held(booking, studio, booking_id)
                else:
                    await booking.hear(studio.business_id, HoldRefused(booking_id=booking_id, reason="closed"))
            state = (await http.get(f"bookings/{booking_id}")).json()["state"]
        assert state == ("refused" if order[0] == "refused" else "cancelled"), order
    assert await booking.violations(studio.business_id) == {}


async def test_bookings_follow_their_sessions_to_another_package(booking: Room, studio: Studio) -> None:
    """R-29: whatever became of them; one that packages did not name stays, and hearing it twice changes nothing."""
    old, new, elsewhere = new_id(), new_id(), new_id()
    booked: list[str] = []
    async with booking.http(studio.desk) as http:
        for hour, package_id in ((0, old), (1, old), (2, elsewhere), (3, old)):
            order = studio.order(starts_at=(TOMORROW + timedelta(hours=hour)).isoformat(), package_id=package_id)
            answer = await http.post("bookings", json=order, headers={"Prefer": "respond-async"})
            booked.append(answer.json()["booking_id"])
            await held(booking, studio, UUID(booked[-1]), package_id=package_id)
        await http.post(f"bookings/{booked[1]}/cancel", json={})
        moved = HoldsMoved(package_id=old, successor_id=new, booking_ids=[UUID(each) for each in booked[:2]])
        await booking.hear(studio.business_id, moved, moved)
        shown = [(await http.get(f"bookings/{each}")).json() for each in booked]
    assert [each["package_id"] for each in shown] == [str(package) for package in (new, new, elsewhere, old)]
    assert [each["state"] for each in shown] == ["confirmed", "cancelled", "confirmed", "confirmed"]


async def test_a_move_that_overtakes_its_hold_waits_for_it(booking: Room, studio: Studio) -> None:
    old, new = new_id(), new_id()
    async with booking.http(studio.desk) as http:
        order = studio.order(package_id=old)
        booking_id = (await http.post("bookings", json=order, headers={"Prefer": "respond-async"})).json()["booking_id"]
        moved = HoldsMoved(package_id=old, successor_id=new, booking_ids=[UUID(booking_id)])
        await booking.hear(studio.business_id, moved)
        await held(booking, studio, UUID(booking_id), package_id=old)
        async with booking.running.database.transaction() as db:
            await db.execute(text("update inbox_failed set next_attempt_at = now()"))
        while await booking.consumer.retry_due():
            pass
        assert (await http.get(f"bookings/{booking_id}")).json()["package_id"] == str(new)
