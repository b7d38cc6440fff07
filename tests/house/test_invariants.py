"""Each invariant can turn red: a planted corruption is found by exactly the invariants that should see it."""

from dataclasses import replace
from types import SimpleNamespace as Some
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from deploy.local.across import ACROSS, Facts, end_at_the_bank
from services.booking.main import service as booking
from services.packages.main import service as packages
from shared.ids import new_id
from shared.service import Service
from tests.conftest import Rooms
from tests.harness.room import Room

A, B, P, D = new_id(), new_id(), new_id(), new_id()


def debit(state: str, *, final: bool = False) -> Any:
    return Some(debit_id=D, state=state, amount_minor=6000, final=final)


def brought(collected_minor: int, in_flight_minor: int, *, final: bool = False) -> Any:
    return Some(debit_id=D, collected_minor=collected_minor, in_flight_minor=in_flight_minor, final=final)


def payment(*actions: str, amount: int = 6000) -> dict[str, Any]:
    """A payment of the bank's own log; each of its callbacks is named as what it tells."""
    history = [{"action": action, "links": {"callback": f"of {action}"}} for action in actions]
    of = {"metadata": {"debit_id": str(D)}, "links": {"mandate": "MD1"}, "charge_date": "2022-09-13"}
    return of | {"amount": amount, "history": history}


CLEAN = Facts(
    bookings=[Some(booking_id=A, package_id=P, state="attended"), Some(booking_id=B, package_id=P, state="cancelled")],
    holds=[
        Some(booking_id=A, package_id=P, state="consumed", closure_id=D),
        Some(booking_id=B, package_id=P, state="returned", closure_id=None),
    ],
    packages=[Some(package_id=P, post_bill=True, state="closed", closure_id=D)],
    billed=[Some(booking_id=A)],
    debits=[debit("settled", final=True)],
    brought=[brought(6000, 0, final=True)],
    bank=[payment("submitted", "confirmed", "paid_out")],
    held=set(),
)

CORRUPTIONS: dict[str, list[dict[str, Any]]] = {
    "bookings and holds agree": [
        {"holds": CLEAN.holds[:1]},
        {"bookings": [Some(booking_id=A, package_id=P, state="cancelled")]},
        {"bookings": [Some(booking_id=A, package_id=new_id(), state="attended")]},
    ],
    "no session without a booking": [{"bookings": CLEAN.bookings[1:]}],
    "closed sessions are billed once": [
        {"billed": []},
        {"billed": CLEAN.billed * 2},
        {"billed": [*CLEAN.billed, Some(booking_id=new_id())]},
    ],
    "the bank knows each debit once": [
        {"bank": []},
        {"bank": CLEAN.bank * 2},
        {"bank": [payment("submitted", amount=6001)]},
        {"debits": [debit("created")]},
        {"debits": []},
    ],
    "nobody is debited twice on a day": [
        {
            "debits": [*CLEAN.debits, Some(debit_id=A, state="submitted", amount_minor=1, final=False)],
            "bank": [*CLEAN.bank, payment("submitted") | {"metadata": {"debit_id": str(A)}}],
        }
    ],
    "debits end as at the bank": [
        {"bank": [payment("submitted")]},
        {"bank": [payment("submitted", "failed")]},
        {"bank": [payment("submitted", "confirmed", "failed")]},
        {"bank": [payment("submitted", "confirmed", "charged_back")]},
        {"held": {"of confirmed", "of paid_out"}},
        *({"debits": [debit(state)]} for state in ("submitted", "declined", "returned_by_bank", "claimed")),
    ],
    "billing has what debits brought": [
        {"brought": []},
        {"brought": [brought(5999, 0, final=True)]},
        {"brought": [brought(6000, 1, final=True)]},
        {"brought": [brought(6000, 0)]},
        {"brought": [*CLEAN.brought, Some(debit_id=A, collected_minor=1, in_flight_minor=0, final=False)]},
        {"debits": [debit("settled")]},
        {"debits": [debit("returned_by_bank")]},
    ],
}


def test_clean_facts_break_nothing() -> None:
    assert [name for name, check in ACROSS.items() if check(CLEAN)] == []


@pytest.mark.parametrize(
    ("state", "actions", "collected_minor", "in_flight_minor"),
    [
        ("submitted", ["submitted"], 0, 6000),
        ("settled", ["submitted", "confirmed"], 6000, 0),
        ("declined", ["submitted", "failed"], 0, 0),
        ("declined", ["submitted", "cancelled"], 0, 0),
        ("returned_by_bank", ["submitted", "confirmed", "paid_out", "failed"], 0, 0),
        ("claimed", ["submitted", "confirmed", "charged_back"], 0, 0),
        ("in_review", ["submitted", "failed"], 0, 6000),
    ],
)
def test_each_state_of_a_debit_has_its_end_at_the_bank_and_in_billing(
    state: str, actions: list[str], collected_minor: int, in_flight_minor: int
) -> None:
    facts = replace(
        CLEAN,
        debits=[debit(state)],
        bank=[payment(*actions)],
        brought=[brought(collected_minor, in_flight_minor)],
    )
    assert {name: check(facts) for name, check in ACROSS.items() if check(facts)} == {}


def test_what_the_bank_keeps_back_is_not_told_yet() -> None:
    told = [payment("submitted", "confirmed"), payment("submitted", "confirmed", "failed")]
    assert [end_at_the_bank(each, set()) for each in told] == ["settled", "returned_by_bank"]
    assert [end_at_the_bank(each, {"of confirmed"}) for each in told] == ["submitted", "declined"]
    assert [end_at_the_bank(each, {"of failed"}) for each in told] == ["settled", "settled"]


@pytest.mark.parametrize("name", ACROSS)
def test_what_services_disagree_on_is_found(name: str) -> None:
    for corruption in CORRUPTIONS[name]:
        assert ACROSS[name](replace(CLEAN, **corruption)), corruption


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
