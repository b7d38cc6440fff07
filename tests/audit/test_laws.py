"""The laws of sessions, of money and of the bank, each with a small world that keeps it and harms that break it."""

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace as Some
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from deploy.audit.books import BankLog, Books
from deploy.audit.findings import Finding
from deploy.audit.laws.bank import bank, end_at_the_bank
from deploy.audit.laws.invariants import invariants
from deploy.audit.laws.money import money
from deploy.audit.laws.payers import payers
from deploy.audit.laws.sessions import sessions
from shared.ids import new_id
from tests.audit.worlds import ANA, BUSINESS, DAY, PART, B, D, P, V, books

# Invariants


class Offender(NamedTuple):
    """A row that a query returns."""

    package_id: UUID
    many: int


def test_an_invariant_that_returns_a_row_is_broken_by_it() -> None:
    world = books()
    assert list(invariants(world)) == []
    world.shelves["packages"].offenders = {"a balance differs from its ledger": [Offender(P, 2)]}
    (found,) = invariants(world)
    assert (found.what, found.subscriber, found.about) == ("broken", "packages", f"package_id={P}, many=2")
    assert found.line().endswith("found a balance differs from its ledger")


# Sessions


def lot(*entries: tuple[str, int], **changes: Any) -> list[Finding]:
    """What is found of a lot that ran on, of which one session was given and two were lost."""
    usual = {"period_index": 1, "cause_id": "act", "entry_id": new_id(), "booking_id": None}
    of_lot = {"package_id": P, "period_index": 1, "valid_from": DAY, "valid_to": None, "ended": False}
    rows = {
        "lots": [Some(**of_lot | {"adjusted": 1, "forfeited": 2} | changes)],
        "ledger_entries": [Some(package_id=P, kind=kind, quantity=many, **usual) for kind, many in entries],
    }
    later = datetime.now(UTC) + timedelta(days=1)
    return list(sessions(books(rows={"packages": rows}, kept_since=later)))


def test_a_lot_is_what_its_entries_say() -> None:
    assert lot(("allocated", 9), ("adjusted", 1), ("forfeited", 2)) == []


@pytest.mark.parametrize("name", ["adjusted", "forfeited"])
def test_a_lot_that_says_otherwise_than_its_entries_is_found(name: str) -> None:
    (found,) = lot(("allocated", 9), ("adjusted", 1), ("forfeited", 2), **{name: 7})
    assert (found.what, found.should) == ("unequal", {"adjusted": "1", "forfeited": "2"}[name])
    assert name in found.about


def test_an_entry_too_many_is_found() -> None:
    assert {finding.what for finding in lot(("adjusted", 1), ("forfeited", 2), ("forfeited", 1))} == {"unequal"}


# Money and the bank


def payment(*actions: str, amount: int = 6000, debit_id: UUID = D) -> dict[str, Any]:
    """A payment of the bank's own log; each of its callbacks is named as what it tells."""
    history = [{"id": f"EV {a}", "action": a, "links": {"callback": f"of {a}"}} for a in actions]
    of = {"metadata": {"debit_id": str(debit_id)}, "links": {"mandate": "MD1"}, "charge_date": "2022-09-13"}
    return of | {"id": "PM1", "currency": "AUD", "amount": amount, "history": history}


def paid(*, bank_log: list[dict[str, Any]] | None = None, **changes: list[Any]) -> Books:
    """An invoice of 60.00, paid by one debit."""
    part = {
        "instalment_id": PART,
        "invoice_id": V,
        "position": 1,
        "due_date": DAY,
        "amount_minor": 6000,
        "paid_minor": 0,
    }
    fact = {"debit_id": D, "instalment_id": PART, "sequence": 2, "collected_minor": 6000, "in_flight_minor": 0}
    entries = {"issue": new_id(), "settle": new_id()}
    sides = [("issue", "receivable", 6000), ("issue", "sales", -6000), ("settle", "cash", 6000)]
    sides += [("settle", "receivable", -6000)]
    billing = {
        "invoices": [
            Some(
                invoice_id=V,
                number=1,
                payer_id=ANA,
                package_id=P,
                total_minor=6000,
                currency="AUD",
                issued_date=DAY,
                period_index=1,
            )
        ],
        "instalments": [Some(**part, state="paid", target_minor=6000)],
        "debit_facts": [Some(**fact, final=True, state="settled", fact_date=DAY)],
        "billed_packages": [Some(package_id=P, ended_date=None, form="paid_in_full", auto_pay=True)],
        "daily_runs": [Some(business_id=BUSINESS, last_done=DAY)],
        "journal_entries": [
            Some(
                entry_id=entries["issue"],
                invoice_id=V,
                instalment_id=None,
                debit_id=None,
                sequence=None,
                payment_id=None,
                entry_date=DAY,
            ),
            Some(
                entry_id=entries["settle"],
                invoice_id=V,
                instalment_id=PART,
                debit_id=D,
                sequence=2,
                payment_id=None,
                entry_date=DAY,
            ),
        ],
        "postings": [
            Some(entry_id=entries[of], account=account, amount_minor=minor, currency="AUD")
            for of, account, minor in sides
        ],
    }
    directdebit = {
        "debits": [
            Some(
                debit_id=D,
                payer_id=ANA,
                mandate_id=B,
                amount_minor=6000,
                currency="AUD",
                state="settled",
                charge_date=date(2022, 9, 13),
                provider_ref="PM1",
            )
        ],
        "mandates": [Some(mandate_id=B, payer_id=ANA, provider_mandate="MD1")],
        "provider_facts": [
            Some(event_id=f"EV {a}", action=a, provider_ref="PM1", debit_id=D)
            for a in ("submitted", "confirmed", "paid_out", "failed", "charged_back")
        ],
    }
    rows = {"billing": billing | changes, "directdebit": directdebit | changes}
    log = [payment("submitted", "confirmed", "paid_out")] if bank_log is None else bank_log
    return books(rows=rows, bank_log=BankLog(log), kept_since=datetime.now(UTC) + timedelta(days=1))


def all_of_money(world: Books) -> set[str]:
    return {finding.what for check in (money, payers, bank) for finding in check(world)}


def test_an_invoice_that_one_debit_paid_is_in_order() -> None:
    assert all_of_money(paid()) == set()


@pytest.mark.parametrize(
    "table", ["instalments", "debit_facts", "journal_entries", "postings", "debits", "provider_facts"]
)
def test_money_whose_row_is_gone_is_missed(table: str) -> None:
    assert all_of_money(paid(**{table: []}))


@pytest.mark.parametrize(
    "log",
    [
        [],
        [payment("submitted", "confirmed")] * 2,
        [payment("submitted", "confirmed", amount=6001)],
        [payment("submitted")],
        [payment("submitted", "failed")],
        [payment("submitted", "confirmed", "failed")],
        [payment("submitted", "confirmed", "charged_back")],
        [payment("submitted", "confirmed"), payment("submitted", debit_id=new_id())],
    ],
)
def test_what_the_bank_says_otherwise_is_found(log: list[dict[str, Any]]) -> None:
    assert all_of_money(paid(bank_log=log))


def test_what_the_bank_keeps_back_is_not_told_yet() -> None:
    log = [payment("submitted", "confirmed"), payment("submitted", "confirmed", "failed")]
    assert [end_at_the_bank(each, set()) for each in log] == ["settled", "returned_by_bank"]
    assert [end_at_the_bank(each, {"of confirmed"}) for each in log] == ["submitted", "declined"]
    assert [end_at_the_bank(each, {"of failed"}) for each in log] == ["settled", "settled"]
    ends = [end_at_the_bank(payment("submitted", step), set()) for step in ("cancelled", "charged_back")]
    assert ends == ["declined", "claimed"]
