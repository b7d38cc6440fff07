"""What the database keeps true, and what its invariants find."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from services.billing.invariants import INVARIANTS
from shared.events.directdebit import DebitSettled
from shared.ids import new_id
from tests.billing.desk import FORTNIGHTLY, Studio, closure, debit
from tests.harness.room import Room
from tests.harness.terms import POST_BILL

pytestmark = pytest.mark.servers

POST = text(
    "insert into postings (business_id, entry_id, account, amount_minor, currency)"
    " select business_id, entry_id, 'cash', 1, 'AUD' from journal_entries limit 1"
)


async def test_an_entry_that_does_not_balance_is_refused_at_the_commit(studio: Studio, billing: Room) -> None:
    await studio.owed()
    with pytest.raises(IntegrityError, match="does not balance"):
        async with billing.inside(studio.business_id) as db:
            await db.execute(POST)
    other = await billing.business()
    with pytest.raises(IntegrityError, match="does not balance"):
        async with billing.inside(studio.business_id) as db:
            await db.execute(POST)
            await db.execute(text("select set_config('punchcard.business', :id, true)"), {"id": str(other)})
    await studio.whole()


@pytest.mark.parametrize(
    "change",
    [
        "update postings set amount_minor = amount_minor * 2",
        "delete from postings",
        "update journal_entries set entry_date = entry_date + 1",
        "delete from journal_entries",
    ],
)
async def test_the_journal_is_never_changed(studio: Studio, billing: Room, change: str) -> None:
    await studio.owed()
    with pytest.raises(DBAPIError, match="append-only"):
        async with billing.inside(studio.business_id) as db:
            await db.execute(text(change))


DAMAGE = {
    "an invoice is not the sum of its lines": ["update invoice_lines set amount_minor = amount_minor + 1"],
    "an invoice is not the sum of its instalments, void ones included": [
        "update instalments set amount_minor = amount_minor + 1"
    ],
    "an entry does not balance": [
        "alter table postings disable trigger user",
        "update postings set amount_minor = amount_minor + 1 where account = 'sales'",
    ],
    "what is receivable of an invoice is not what is owed less what was brought": [
        "update debit_facts set collected_minor = collected_minor - 1"
    ],
    "the cash of an invoice is not what debits and payments brought": [
        "update debit_facts set collected_minor = collected_minor + 1"
    ],
    "what was brought twice is not kept for the payer": [
        "update debit_facts set collected_minor = collected_minor + 1"
    ],
    "the invoice numbers do not run from 1 without a gap": ["update invoices set number = number + 10"],
    "a period of a package is billed twice": [
        "alter table invoices drop constraint uq_invoices_package_id_period_index",
        "update invoices set package_id = (select package_id from invoices where number = 1) where number = 2",
    ],
    "the invoices of an open-ended package are not those of its periods so far": [
        "update billed_packages set next_index = next_index + 1 where form = 'recurring'"
    ],
    "a closure that is owed for has not exactly one invoice": [
        "update invoices set closure_id = null, period_index = 9 where closure_id is not null"
    ],
    "an instalment is paid and open, or covered and not paid": ["update instalments set state = 'due'"],
    "more is in flight than was asked for": ["update debit_facts set in_flight_minor = 10 ^ 6"],
    "what is to be collected by debit is not what is due, or what auto-pay says": [
        "update instalments set target_minor = target_minor - 1 where state = 'due'"
    ],
    "what was paid by hand is not the sum of its parts": [
        "update instalments set paid_minor = paid_minor - 1 where paid_minor > 0"
    ],
    "a payment is not the sum of its parts": [
        "alter table payments disable trigger user",
        "update payments set amount_minor = amount_minor + 1",
    ],
    "something that fell due on a day that is billed was left out": [
        "update billed_packages set next_due_date = '2022-09-13' where form = 'recurring'"
    ],
}


@pytest.mark.parametrize("name", INVARIANTS)
async def test_an_invariant_turns_red(studio: Studio, billing: Room, name: str) -> None:
    sale = studio.sale(**POST_BILL)
    issued = await studio.owed()
    await studio.owed()
    await studio.pay((await studio.owed(**FORTNIGHTLY)).invoice_id, 30000)
    paid = debit(DebitSettled, new_id(), 2, issued.instalments[0].instalment_id, collected=50000)
    await studio.hear(sale, closure(sale, ["attended"]), paid)
    await studio.whole()
    async with billing.inside(studio.business_id) as db:
        for statement in DAMAGE[name]:
            await db.execute(text(statement))
        assert (await db.execute(text(INVARIANTS[name]))).all()
        await db.rollback()
