"""S6: the day of S5 as the whole house lives it: until packages has its sessions and directdebit its debits."""

import asyncio
import time

from shared.ids import new_id
from tests.bench import due_run
from tests.bench.due_run import DUE, SOLD, YESTERDAY
from tests.bench.figures import Figure, Found, Goal, Pairs
from tests.bench.place import Place
from tests.harness.studio import Studio
from tests.stories.test_recurring import SIX_A_FORTNIGHT

GIVEN = " from unnest(cast(:packages as uuid[]), cast(:payers as uuid[])) as given (package_id, payer_id)"
SOLD_HERE = (
    "insert into packages (package_id, business_id, client_id, payer_id, template_id, template_version, terms,"
    " post_bill, start_date, first_due_date, auto_pay, sold_date, state, periods_opened, allocated, adjusted, held,"
    " consumed) select given.package_id, model.business_id, given.payer_id, given.payer_id, template_id,"
    " template_version, terms, post_bill, '2022-09-13', '2022-09-13', true, '2022-09-13', state, 1, 6, 0, 0, 0"
    f" {GIVEN} cross join (select * from packages where package_id = :model) model"
)
FIRST_LOTS = (
    "insert into lots (package_id, period_index, business_id, valid_from, valid_to, size, adjusted, forfeited, ended)"
    f" select package_id, 1, :business_id, '2022-09-13', '2022-09-27', 6, 0, 0, false {GIVEN}"
)
PAYERS = f"insert into clients (client_id, business_id, sequence) select payer_id, :business_id, 1 {GIVEN}"
MANDATES = (
    "insert into mandates (mandate_id, business_id, payer_id, provider_mandate, account_ending, state, recorded_by,"
    f" recorded_date) select new_id(), :business_id, payer_id, 'MD' || package_id, '89', 'active', 'service:bench',"
    f" :due {GIVEN}"
)
READERS = (
    f"insert into clients (client_id, business_id, sequence, name) select payer_id, :business_id, 1, 'A client' {GIVEN}"
)
SEEDS = {
    "billing": SOLD.text,
    "packages": f"{SOLD_HERE};{FIRST_LOTS}",
    "directdebit": f"{PAYERS};{MANDATES}",
    "notify": READERS,
}
ARRIVED = {
    "packages": "select count(*) as many from lots where period_index = 2",
    "directdebit": "select count(*) as many from debits",
}
NO_MORE = "delete from work where business_id = :business_id and kind = 'submit'"


async def whole_day(place: Place, many: int) -> float:
    """Seconds from the word that it is morning until all is there. The debits are not sent: the bank knows none."""
    async with place.studio(YESTERDAY) as studio:
        await _seed(studio, many)
        began = time.perf_counter()
        await studio.begin_day(DUE)
        for service, count in ARRIVED.items():
            while (await studio.rows(service, count))[0].many < many:  # noqa: ASYNC110 — rows, not a task
                await asyncio.sleep(0.02)
        took = time.perf_counter() - began
        await studio.write("directdebit", NO_MORE)
    return took


async def _seed(studio: Studio, many: int) -> None:
    """So many packages, like one that is really sold, of as many payers."""
    template_id = await studio.template(**SIX_A_FORTNIGHT)
    model = await studio.sell(template_id, first_due_date="2022-10-03", start_date="2022-10-03")
    await studio.quiet()
    given = {"packages": [new_id() for _ in range(many)], "payers": [new_id() for _ in range(many)]}
    for service, script in SEEDS.items():
        await studio.write(service, script, **given, model=model, due=DUE)


async def measure(place: Place) -> list[Found]:
    many = place.sizes.due_whole_day
    async with due_run.billing(place) as database:

        async def ours() -> float:
            return await whole_day(place, many)

        async def billing_alone() -> float:
            return await due_run.run(database, await due_run.sold(database, many))

        pairs = await Pairs().take(place.sizes.rounds, ours, billing_alone)
    work = f"a day on which {many:,} packages are due, until sessions are allocated and debits made; in one process"
    goal = Goal(4, at_most=True)
    note = "Invoices are told to the payers meanwhile, and the first debits sent"
    return [Figure("S6", work, "s", pairs.ours, goal, pairs.limit, "billing's run of as many (S5)", note)]
