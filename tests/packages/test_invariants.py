"""Each invariant about lots turns red when its corruption is planted, and no other does."""

import pytest
from sqlalchemy import text

from shared.ids import new_id
from tests.packages.conftest import Shop

pytestmark = pytest.mark.servers

RECURRING = '{"form": "recurring", "frequency": "fortnightly", "rollover": "reset", "term_weeks": 0}'
PACKAGE = (
    "insert into packages (package_id, business_id, client_id, payer_id, template_id, template_version, terms,"
    " post_bill, start_date, first_due_date, auto_pay, sold_date, state, allocated, adjusted, held, consumed,"
    " forfeited, periods_opened) values (:one, :business, :one, :one, :one, 1, cast(:terms as jsonb), false,"
    " '2022-09-09', '2022-09-13', false, '2022-09-09', 'active', {allocated}, 0, {held}, 0, {forfeited}, {opened})"
)
LOT = (
    "insert into lots (package_id, period_index, business_id, valid_from, valid_to, size, adjusted, forfeited, ended)"
    " values (:one, 1, :business, '2022-09-09', '2022-09-27', {size}, 0, {forfeited}, {ended})"
)
ENTRY = (
    "insert into ledger_entries (entry_id, business_id, package_id, kind, quantity, booking_id, actor, cause_id,"
    " business_date) values (gen_random_uuid(), :business, :one, '{kind}', {quantity}, {booking}, 'x', 'x',"
    " '2022-09-09')"
)
HOLD = (
    "insert into holds (booking_id, business_id, sequence, state, package_id, session_date)"
    " values (gen_random_uuid(), :business, 1, '{state}', :one, '2022-09-15')"
)


def package(allocated: int = 1, held: int = 0, forfeited: int = 0, opened: int = 1) -> str:
    return PACKAGE.format(allocated=allocated, held=held, forfeited=forfeited, opened=opened)


def lot(size: int = 1, forfeited: int = 0, ended: bool = False) -> str:
    return LOT.format(size=size, forfeited=forfeited, ended=ended)


def entry(kind: str, quantity: int = 1, booking: str = "null") -> str:
    return ENTRY.format(kind=kind, quantity=quantity, booking=booking)


PLANTED: list[tuple[list[str], set[str]]] = [
    ([package(), lot(), entry("allocated")], set()),
    ([package(forfeited=1), lot(), entry("allocated")], {"a balance differs from its ledger"}),
    ([package(), lot(size=2), entry("allocated")], {"lots differ from their ledger"}),
    (
        [package(forfeited=1), lot(), entry("allocated"), entry("forfeited")],
        {"lots differ from their ledger"},
    ),
    (
        [
            package(allocated=2, held=2),
            lot(),
            *[HOLD.format(state="held")] * 2,
            *[entry("held", booking="gen_random_uuid()")] * 2,
            entry("allocated", 2),
        ],
        {"a lot gave more than it had", "lots differ from their ledger"},
    ),
    ([package(), lot(ended=True), entry("allocated")], {"an ended lot still has sessions"}),
    ([package(opened=2), lot(), entry("allocated")], {"the periods opened are not the lots"}),
    (
        [package(), lot(), entry("allocated"), HOLD.format(state="ahead")],
        {"a session is ahead of a period that has opened"},
    ),
]


@pytest.mark.parametrize(
    ("statements", "seen"), PLANTED, ids=[" and ".join(sorted(seen)) or "nothing" for _, seen in PLANTED]
)
async def test_a_planted_corruption_turns_its_invariant_red(shop: Shop, statements: list[str], seen: set[str]) -> None:
    values = {"business": shop.business_id, "one": new_id(), "terms": RECURRING}
    async with shop.room.inside(shop.business_id) as db:
        for statement in statements:
            await db.execute(text(statement), {name: v for name, v in values.items() if f":{name}" in statement})
        broken = {
            name
            for name, sql in shop.room.running.service.invariants.items()
            if (await db.execute(text(sql))).first() is not None
        }
        await db.rollback()
    assert broken == seen
