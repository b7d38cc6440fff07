"""A day on which very many instalments fall due, with processes dying in the middle of it: each payer is debited once.

600 payers, or as many as `PUNCHCARD_MANY_DUE` says (5000 by hand: `-s` shows how long the parts took).
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from deploy.local.running import here
from deploy.local.running.system import System, served, system
from deploy.local.servers import free_ports
from deploy.local.servers.kept import Process
from services.billing.actions.falling_due import AT_ONCE
from shared.ids import new_id
from tests.faults.conftest import free_what_the_dead_held
from tests.harness.studio import FRIDAY, Studio, days, opened

MANY = int(os.environ.get("PUNCHCARD_MANY_DUE", "600"))
PATIENCE_SECONDS = 120 + MANY // 5
"""For any one thing to happen. Generous: it takes a fraction of this."""

pytestmark = [
    pytest.mark.servers,
    pytest.mark.broker,
    pytest.mark.at_length,
    pytest.mark.timeout(120 + 2 * PATIENCE_SECONDS),
    pytest.mark.xdist_group("faults-many-due"),
]

TUESDAY = FRIDAY + days(4)
REST = ("catalog", "packages", "booking", "notify")
GROUPS = (REST, ("billing",), ("directdebit",))
BILLING_PROCESSES = 3
IN_THE_RUN = f"day.instalments:{4 + -(-MANY // AT_ONCE)}"
"""Three days pass, then a look for each piece of the due day and one that finds no more: there, whoever bills it dies.

Whoever goes on has the due day alone, and passes too few looks to die as well.
"""
AMID_ANSWERS = f"submit.answered:{min(MANY // 3, 300)}"
HANDS = 8
"""How many payers sign at the bank at once."""

SEED_BILLING = """
create temp table seed on commit drop as
  select nth::int, payer_id, 10000 + nth as due_minor, 5000 as later_minor, new_id() as package_id,
    new_id() as invoice_id, new_id() as entry_id
  from unnest(cast(:payers as uuid[])) with ordinality as given (payer_id, nth);
insert into billed_packages (package_id, business_id, client_id, payer_id, name, post_bill, form, price_minor, currency,
  frequency, first_due_date, auto_pay, next_index)
select package_id, :business_id, payer_id, payer_id, '10 sessions in two parts', false, 'instalments',
  due_minor + later_minor, 'AUD', 'fortnightly', :due, true, 2 from seed;
insert into invoice_counters (business_id, last_number) select :business_id, count(*) from seed;
insert into invoices (invoice_id, business_id, number, package_id, period_index, client_id, payer_id, total_minor,
  currency, issued_date)
select invoice_id, :business_id, nth, package_id, 1, payer_id, payer_id, due_minor + later_minor, 'AUD', :sold
from seed;
insert into invoice_lines (invoice_id, business_id, position, description, amount_minor)
select invoice_id, :business_id, 1, '10 sessions in two parts', due_minor + later_minor from seed;
insert into instalments (instalment_id, business_id, invoice_id, position, due_date, amount_minor, paid_minor, state,
  collection_version, target_minor)
select new_id(), :business_id, invoice_id, position, cast(:due as date) + 14 * (position - 1), amount_minor, 0,
  'scheduled', 0, 0
from seed cross join lateral (values (1, due_minor), (2, later_minor)) part (position, amount_minor);
insert into journal_entries (entry_id, business_id, invoice_id, entry_date)
select entry_id, :business_id, invoice_id, :sold from seed;
insert into postings (entry_id, business_id, account, amount_minor, currency)
select entry_id, :business_id, account, sign * (due_minor + later_minor), 'AUD'
from seed cross join (values ('receivable', 1), ('sales', -1)) side (account, sign)
"""
SEED_DIRECTDEBIT = """
insert into clients (client_id, business_id, sequence)
select payer_id, :business_id, 1 from unnest(cast(:payers as uuid[])) as given (payer_id);
insert into mandates (mandate_id, business_id, payer_id, provider_mandate, account_ending, state, recorded_by,
  recorded_date)
select new_id(), :business_id, payer_id, provider_mandate, '89', 'active', 'service:test', :sold
from unnest(cast(:payers as uuid[]), cast(:mandates as text[])) as given (payer_id, provider_mandate)
"""
DEBITS = "select count(*) as many, coalesce(sum(amount_minor), 0) as sum_minor from debits where state = 'submitted'"
HEARD = "select count(*) as many from provider_facts where state = 'folded'"
IN_FLIGHT = """
select count(*) as many, coalesce(sum(in_flight_minor), 0) as sum_minor from (
  select distinct on (debit_id, instalment_id) in_flight_minor from debit_facts
  order by debit_id, instalment_id, sequence desc) newest where in_flight_minor > 0
"""
STATES = "select due_date, state, count(*) as many from instalments group by 1, 2 order by 1, 2"


class Replica:
    """One more process of a service, on a port of its own; it dies at a failpoint, and is then started again well."""

    def __init__(self, made: System, service: str, failpoint: str, *, number: int = 1) -> None:
        self.url = made.urls[service] if number == 1 else f"http://127.0.0.1:{free_ports(1)[0]}"
        self.service, self.label, self.system = service, f"{service}.{number}", made
        self._running = ExitStack()
        self._process = self._start(failpoint)

    def _start(self, failpoint: str | None = None) -> Process:
        started = served(self.system, self.service, url=self.url, label=self.label, failpoint=failpoint)
        return self._running.enter_context(started)

    def dead(self) -> bool:
        return not self._process.alive()

    def revive(self) -> None:
        self._running.close()
        self._process = self._start()

    def close(self) -> None:
        self._running.close()


class House:
    """A system with three processes of billing and one of directdebit, each of which can die."""

    def __init__(self, made: System) -> None:
        self.system = made
        self.billing = [Replica(made, "billing", IN_THE_RUN, number=n + 1) for n in range(BILLING_PROCESSES)]
        self.directdebit = Replica(made, "directdebit", AMID_ANSWERS)

    def close(self) -> None:
        for replica in (*self.billing, self.directdebit):
            replica.close()


@contextmanager
def took(what: str) -> Iterator[None]:
    """Say how long a part took."""
    began = time.monotonic()
    yield
    print(f"  {what}: {time.monotonic() - began:.1f} s", flush=True)  # noqa: T201


@pytest.fixture
def house(postgres_url: str, amqp_url: str, tmp_path: Path) -> Iterator[House]:
    prefix = f"many_{new_id().hex[-8:]}"
    with ExitStack() as stack:
        made = stack.enter_context(
            system(tmp_path, postgres_url, amqp_url, groups=GROUPS, start=False, prefix=prefix),
        )
        stack.enter_context(served(made, *REST))
        house = House(made)
        stack.callback(house.close)
        yield house


@pytest.fixture
async def studio(house: House) -> AsyncIterator[Studio]:
    async with opened(house.system) as studio:
        yield studio


async def test_very_many_are_debited_once_though_billing_and_directdebit_are_killed(
    house: House, studio: Studio
) -> None:
    with took("mandates signed at the bank"):
        mandates = await sign(studio)
    with took("sales written into the books"):
        payers = [new_id() for _ in mandates]
        given = {"payers": payers, "sold": FRIDAY}
        await studio.write("billing", SEED_BILLING, **given, due=TUESDAY)
        await studio.write("directdebit", SEED_DIRECTDEBIT, **given, mandates=mandates)
    await studio.quiet()
    with took("until a billing process was killed in the day's run"):
        await studio.begin_day(TUESDAY)
        await until("a billing process dies", lambda: any(replica.dead() for replica in house.billing))
        (died,) = (replica for replica in house.billing if replica.dead())
    assert (await states(studio))["due"] % AT_ONCE == 0, "what it had in hand is not done"
    with took("until it ran again"):
        died.revive()
        await free_what_the_dead_held(studio, "billing")
    with took("until directdebit was killed"):
        await until("directdebit dies", house.directdebit.dead)
    sent = len((await studio.observer.bank_log(studio.business_id)).payments)
    assert 0 < sent < MANY
    with took("until it ran again"):
        house.directdebit.revive()
        await free_what_the_dead_held(studio, "directdebit")
    with took(f"until the other {MANY - sent} of {MANY} debits were sent"):
        await all_have(studio, DEBITS)
    with took("until the bank was heard of each"):
        await all_have(studio, HEARD)
    with took("until all was quiet"):
        await studio.observer.until_quiet(studio.business_id, seconds=PATIENCE_SECONDS)
    assert not any(replica.dead() for replica in (*house.billing, house.directdebit))
    await every_book_agrees(studio, mandates)


async def every_book_agrees(studio: Studio, mandates: list[str]) -> None:
    """The bank, directdebit and billing have each payer once, with what was due, and nothing else."""
    expected = Counter({(mandate, 10000 + nth): 1 for nth, mandate in enumerate(mandates, start=1)})
    bank = (await studio.observer.bank_log(studio.business_id)).payments
    assert Counter((payment["links"]["mandate"], payment["amount"]) for payment in bank) == expected
    total = (MANY, sum(payment["amount"] for payment in bank))
    assert total == (MANY, sum(amount for _, amount in expected))
    assert [tuple(row) for row in await studio.rows("directdebit", DEBITS)] == [total]
    assert [tuple(row) for row in await studio.rows("billing", IN_FLIGHT)] == [total]
    assert [tuple(row) for row in await studio.rows("billing", STATES)] == [
        (TUESDAY, "due", MANY),
        (TUESDAY + days(14), "scheduled", MANY),
    ]
    with took("every invariant looked at"):
        assert await studio.violations() == []


async def sign(studio: Studio) -> list[str]:
    """So many payers sign at the bank's own page; nothing becomes of their payments but what is decided by hand."""
    account = {
        "account_holder_name": "A payer",
        "account_number": "123456789",
        "branch_code": "062-000",
        "currency": "AUD",
    }
    headers = {"Authorization": f"Bearer {studio.account['access_token']}"}
    hands = asyncio.Semaphore(HANDS)
    limits = httpx.Limits(max_connections=HANDS)
    async with here.async_client(base_url=studio.system.bank_url, headers=headers, limits=limits, timeout=30) as bank:

        async def one() -> str:
            async with hands:
                answer = await bank.post("/practice/mandates", json={"mandates": account})
            provider_mandate: str = answer.raise_for_status().json()["mandates"]["id"]
            return provider_mandate

        return list(await asyncio.gather(*(one() for _ in range(MANY))))


async def states(studio: Studio) -> Counter[str]:
    """How many of the instalments of the due day are in each state."""
    return Counter({row.state: row.many for row in await studio.rows("billing", STATES) if row.due_date == TUESDAY})


async def all_have(studio: Studio, sql: str) -> None:
    """Until directdebit has so many rows; cheaper than a look into every corner, which comes afterwards."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await studio.rows("directdebit", sql))[0].many < MANY:  # noqa: ASYNC110 — rows, not a task
            await asyncio.sleep(0.2)


async def until(what: str, happens: Callable[[], bool]) -> None:
    """Wait for it, and fail by its name."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not happens():  # noqa: ASYNC110 — a process, not a task
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"waited in vain until {what}") from None
