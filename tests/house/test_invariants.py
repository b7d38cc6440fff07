"""Each invariant can turn red: a planted corruption is found by exactly the invariants that should see it."""

from uuid import UUID

import pytest
from sqlalchemy import text

from services.booking.main import service as booking
from services.packages.main import service as packages
from shared.ids import new_id
from shared.service import Service
from tests.conftest import Rooms
from tests.harness.room import Room

P = new_id()

BOOKING = (
    "insert into bookings (booking_id, business_id, client_id, package_id, service_id, practitioner_id, during,"
    " session_date, state, sequence, decide_by, late_cancel_hours) values"
    " (gen_random_uuid(), :business, :one, {package}, :one, :one, {during}, '2022-09-10', '{state}', 1, {decide_by}, 0)"
)
PACKAGE = (
    "insert into packages (package_id, business_id, client_id, payer_id, template_id, template_version, terms,"
    " post_bill, start_date, first_due_date, auto_pay, sold_date, state, allocated, adjusted, held, consumed) values"
    " (:one, :business, :one, :one, :one, 1, '{{}}', {post_bill}, '2022-09-09', '2022-09-09', false, '2022-09-09',"
    " '{state}', {allocated}, 0, {held}, {consumed})"
)
ENTRY = (
    "insert into ledger_entries (entry_id, business_id, package_id, kind, quantity, booking_id, actor, cause_id,"
    " business_date) values (gen_random_uuid(), :business, :one, '{kind}', 1, {booking}, 'x', 'x', '2022-09-09')"
)
HOLD = (
    "insert into holds (booking_id, business_id, sequence, state, package_id, outcome)"
    " values (:one, :business, 1, '{state}', :one, {outcome})"
)
OPENED = "update packages set periods_opened = 1 where package_id = :one"
LOT = (
    "insert into lots (package_id, period_index, business_id, valid_from, valid_to, adjusted, forfeited, size, ended)"
    " values (:one, 1, :business, '2022-09-09', '2022-09-27', 0, 0, {})"
)
DURING = "tstzrange('2022-09-10 00:00Z', '2022-09-10 01:00Z')"
PLANTED: list[tuple[Service, list[str], set[str]]] = [
    (
        booking,
        [BOOKING.format(package="null", during=DURING, state="holding", decide_by="now() - interval '1 hour'")],
        {"a booking waits past its deadline"},
    ),
    (
        booking,
        [
            "alter table bookings drop constraint ck_bookings_has_a_session",
            BOOKING.format(package="null", during=DURING, state="confirmed", decide_by="now()"),
        ],
        {"a place has no session"},
    ),
    (
        booking,
        [
            "alter table bookings drop constraint one_client_at_a_time",
            *[BOOKING.format(package=":one", during=DURING, state="confirmed", decide_by="now()")] * 2,
        ],
        {"a practitioner is in two places"},
    ),
    (
        packages,
        [PACKAGE.format(post_bill="false", state="active", allocated=1, held=0, consumed=0)],
        {"a balance differs from its ledger"},
    ),
    (
        packages,
        [
            PACKAGE.format(post_bill="true", state="active", allocated=0, held=1, consumed=0),
            ENTRY.format(kind="held", booking="gen_random_uuid()"),
        ],
        {"a balance differs from its bookings"},
    ),
    (
        packages,
        [
            PACKAGE.format(post_bill="true", state="active", allocated=0, held=0, consumed=1),
            HOLD.format(state="consumed", outcome="'attended'"),
            *[ENTRY.format(kind=kind, booking=":one") for kind in ("held", "consumed", "returned")],
        ],
        {"a booking is both returned and used", "a balance differs from its ledger"},
    ),
    (packages, [ENTRY.format(kind="adjusted", booking="null")], {"a ledger entry has no package"}),
    (
        packages,
        [
            PACKAGE.format(post_bill="true", state="closed", allocated=0, held=0, consumed=1),
            HOLD.format(state="consumed", outcome="'attended'"),
            *[ENTRY.format(kind=kind, booking=":one") for kind in ("held", "consumed")],
        ],
        {"a used session of a closed post-bill package is in no closure"},
    ),
    (
        packages,
        [
            PACKAGE.format(post_bill="false", state="active", allocated=0, held=0, consumed=0),
            OPENED,
            LOT.format("1, false"),
        ],
        {"lots differ from their ledger"},
    ),
    (
        packages,
        [
            PACKAGE.format(post_bill="true", state="active", allocated=0, held=0, consumed=1),
            HOLD.format(state="consumed", outcome="'attended'"),
            "update holds set session_date = '2022-09-15'",
            *[ENTRY.format(kind=kind, booking=":one") for kind in ("held", "consumed")],
            OPENED,
            LOT.format("0, false"),
        ],
        {"a lot gave more than it had"},
    ),
    (
        packages,
        [
            PACKAGE.format(post_bill="false", state="active", allocated=1, held=0, consumed=0),
            ENTRY.format(kind="allocated", booking="null"),
            OPENED,
            LOT.format("1, true"),
        ],
        {"an ended lot still has sessions"},
    ),
    (
        packages,
        [PACKAGE.format(post_bill="true", state="active", allocated=0, held=0, consumed=0), OPENED],
        {"the periods opened are not the lots"},
    ),
    (
        packages,
        [
            PACKAGE.format(post_bill="true", state="active", allocated=0, held=0, consumed=0),
            HOLD.format(state="ahead", outcome="null"),
        ],
        {"a session is ahead of a period that has opened"},
    ),
]


@pytest.mark.servers
@pytest.mark.parametrize(
    ("service", "statements", "seen"), PLANTED, ids=[" and ".join(sorted(seen)) for _, _, seen in PLANTED]
)
async def test_a_planted_corruption_turns_its_invariant_red(
    rooms: Rooms, service: Service, statements: list[str], seen: set[str]
) -> None:
    room = await rooms(service)
    assert await violations_with(room, await room.business(), statements) == seen


async def violations_with(room: Room, business_id: UUID, statements: list[str]) -> set[str]:
    """The invariants that break when statements are run; all is rolled back, constraints dropped for it included."""
    async with room.inside(business_id) as db:
        for statement in statements:
            await db.execute(text(statement), {"business": business_id, "one": P})
        broken = {
            name
            for name, sql in room.running.service.invariants.items()
            if (await db.execute(text(sql))).first() is not None
        }
        await db.rollback()
    return broken


@pytest.mark.parametrize("service", [booking, packages], ids=lambda service: service.name)
def test_no_invariant_is_left_out(service: Service) -> None:
    planted = {name for owner, _, seen in PLANTED if owner is service for name in seen}
    assert planted == set(service.invariants)
