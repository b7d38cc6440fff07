"""What may happen, in any order: what people ask for, what the bank decides, and each step that a process takes."""

from collections.abc import Coroutine
from pprint import pformat
from typing import Any, Literal, get_args

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from deploy.local.running.issuer import Issuer
from deploy.local.running.observer import Observer
from deploy.practice_bank.rules import MOVES
from tests.simulation.proof import wrong
from tests.simulation.shop import CLIENTS, FORMS, Shop
from tests.simulation.world import ALL, UNDONE, World

WHICH = st.integers(0, 5)
"""One of those that there are, counted round and round."""
PICKS = st.lists(st.integers(0, 9), min_size=1, max_size=12)
"""Some of those that wait, in this order; one that is named twice comes twice."""
What = Literal["deliver", "relay", "work", "call back", "retry"]
Step = tuple[What, int, list[int], bool]
STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(st.sampled_from(get_args(What)), WHICH, PICKS, st.booleans()), min_size=1, max_size=10
)
DAYS = st.integers(1, 7)
CLIENT = st.sampled_from(CLIENTS)
LOST = st.booleans()
"""Whether the answer is lost, so that it is asked again under the same key."""
DEATHS = st.sampled_from(
    (
        "submit.answered",
        "submit.written",
        "relay.published",
        "relay.deleted",
        "consumer.deduplicated",
        "consumer.before_commit",
        "consumer.after_commit",
        "run.committed",
        "day.committed",
        "send.handed_over",
        UNDONE,
    )
)
"""Where death waits for whoever comes by next."""
DEATH = st.none() | DEATHS
FORM = st.sampled_from(tuple(FORMS))
BEHAVIOUR = st.sampled_from(
    (
        "manual",
        "settle",
        "decline",
        "collects",
        "insufficient_funds_then_success",
        "account_closed",
        "late_return",
        "chargeback",
        "outage",
        "accepted_but_timed_out",
    )
)
DECISION = st.sampled_from(sorted(set(MOVES) - {"submit", "cancel"}))


class NotRight(AssertionError):
    """At rest something is not as it must be."""


class Simulation(RuleBasedStateMachine):
    """A business of its own in a world that lasts; at the end, all comes to rest and all must be right."""

    def __init__(self, world: World, issuer: Issuer, observer: Observer) -> None:
        super().__init__()
        self.world, self.observer = world, observer
        self.shop = Shop(world, issuer)
        self.world.run(self.shop.open())
        self.failed = False

    def happens(self, step: Coroutine[Any, Any, Any]) -> None:
        try:
            self.world.run(step)
        except BaseException:
            self.failed = True
            raise

    def teardown(self) -> None:
        if not self.failed:
            self.world.run(self._end())

    async def _end(self) -> None:
        self.world.failpoints.lurk(None)
        await self.world.rest()
        if found := await wrong(self.shop, self.observer):
            raise NotRight(pformat(found, width=120))
        self.world.unfinished = False

    @initialize(
        sales=st.lists(st.tuples(FORM, CLIENT, CLIENT), min_size=2, max_size=3),
        behaviours=st.fixed_dictionaries(dict.fromkeys(CLIENTS, BEHAVIOUR)),
        days=st.integers(4, 10),
        death=DEATHS,
        called=st.booleans(),
    )
    def begin(
        self, sales: list[tuple[str, str, str]], behaviours: dict[str, str], days: int, death: str, called: bool
    ) -> None:
        """A life begins with what was sold and is debited; all comes to rest, but for one death."""
        for client, behaviour in behaviours.items():
            self.world.bank.behave(self.shop.mandates[client], behaviour)
        for form, client, payer in sales:
            self.happens(self.shop.sell(form, client, payer=payer, auto_pay=True, lost=False))
        self.days_of_rest(days, death, called)

    # People

    @rule(form=FORM, client=CLIENT, payer=CLIENT, auto_pay=st.booleans(), lost=LOST)
    def sell(self, form: str, client: str, payer: str, auto_pay: bool, lost: bool) -> None:
        self.happens(self.shop.sell(form, client, payer=payer, auto_pay=auto_pay, lost=lost))

    @rule(which=WHICH, named=st.booleans(), in_days=st.sampled_from((0, -1, 1, 7)), hour=st.integers(9, 11), lost=LOST)
    def book(self, which: int, named: bool, in_days: int, hour: int, lost: bool) -> None:
        package_id = one(self.shop.packages, which)
        self.happens(self.shop.book(package_id, named=named, in_days=in_days, hour=hour, lost=lost))

    @precondition(lambda self: self.shop.bookings)
    @rule(which=WHICH, waive=st.booleans(), lost=LOST)
    def call_off(self, which: int, waive: bool, lost: bool) -> None:
        self.happens(self.shop.call_off(one(self.shop.bookings, which), waive=waive, lost=lost))

    @precondition(lambda self: self.shop.bookings)
    @rule(which=WHICH, attended=st.booleans(), lost=LOST)
    def attend(self, which: int, attended: bool, lost: bool) -> None:
        self.happens(self.shop.attend(one(self.shop.bookings, which), attended=attended, lost=lost))

    @rule(which=WHICH, hour=st.integers(12, 14), attended=st.booleans(), lost=LOST)
    def a_visit(self, which: int, hour: int, attended: bool, lost: bool) -> None:
        """A session is booked for today; a quiet night later somebody says whether the client came."""
        booked = len(self.shop.bookings)
        package_id = one(self.shop.packages, which)
        self.happens(self.shop.book(package_id, named=True, in_days=0, hour=hour, lost=lost))
        self.happens(self.shop.next_day(1, lost=lost))
        self.happens(self.world.rest())
        for booking_id in self.shop.bookings[booked:]:
            self.happens(self.shop.attend(booking_id, attended=attended, lost=lost))

    @rule(which=WHICH, lost=LOST)
    def close(self, which: int, lost: bool) -> None:
        self.happens(self.shop.close(one(self.shop.packages, which), lost=lost))

    @rule(which=WHICH, auto_pay=st.booleans(), sessions=st.sampled_from((0, 1, 2, -1)), lost=LOST)
    def change(self, which: int, auto_pay: bool, sessions: int, lost: bool) -> None:
        """Auto-pay is switched, or sessions are added or taken away."""
        package_id = one(self.shop.packages, which)
        if sessions:
            self.happens(self.shop.adjust(package_id, sessions, lost=lost))
        else:
            self.happens(self.shop.switch_auto_pay(package_id, auto_pay, lost=lost))

    @rule(which=WHICH, half=st.booleans(), lost=LOST)
    def pay(self, which: int, half: bool, lost: bool) -> None:
        self.happens(self.shop.pay(which, half=half, lost=lost))

    @rule(confirms=st.booleans(), lost=LOST)
    def process_billing(self, confirms: bool, lost: bool) -> None:
        self.happens(self.shop.process_billing(confirms=confirms, lost=lost))

    # Time

    @rule(days=DAYS, lost=LOST)
    def next_day(self, days: int, lost: bool) -> None:
        self.happens(self.shop.next_day(days, lost=lost))

    @rule(days=DAYS, death=DEATH, called=st.booleans())
    def days_of_rest(self, days: int, death: str | None, called: bool) -> None:
        """Days that come to rest, with one death at most: so what comes later in life is reached too."""
        self.happens(self.shop.next_day(days, lost=False))
        self.world.failpoints.lurk(death)
        self.happens(self.world.rest(called=called))
        self.world.failpoints.lurk(None)

    # The bank

    @rule(client=CLIENT, payments=BEHAVIOUR)
    def the_bank_will(self, client: str, payments: str) -> None:
        self.world.bank.behave(self.shop.mandates[client], payments)

    @precondition(lambda self: self.world.bank.payments)
    @rule(which=WHICH, decision=DECISION)
    def the_bank_decides(self, which: int, decision: str) -> None:
        self.world.bank.decide(one(self.world.bank.payments, which), decision)

    @precondition(lambda self: self.world.bank.told)
    @rule()
    def repeat_callbacks(self) -> None:
        self.happens(self.world.repeat_callbacks())

    # Processes

    @rule(death=DEATH)
    def death_waits(self, death: str | None) -> None:
        self.world.failpoints.lurk(death)

    @rule(steps=STEPS)
    def meanwhile(self, steps: list[Step]) -> None:
        for what, which, picks, fully in steps:
            self.happens(self._step(what, which, picks, fully=fully))

    @rule(steps=STEPS)
    def after_a_pause(self, steps: list[Step]) -> None:
        """Leases run out, and what was to wait has waited."""
        self.happens(self.world.time_passes())
        self.meanwhile(steps)

    @rule(which=WHICH)
    def everything_comes_again(self, which: int) -> None:
        self.world.again(one(self.world.hearers, which))

    async def _step(self, what: What, which: int, picks: list[int], *, fully: bool) -> None:
        """A step of one process, if there is anything for it to do; `fully` is confirmed or acknowledged."""
        world = self.world
        if what == "relay" and world.relays:
            await world.relay(one(world.relays, which), confirms=ALL if fully else len(picks))
        if what == "deliver" and world.listeners:
            await world.deliver(one(world.listeners, which), picks, acknowledged=fully)
        if what == "work" and world.workers:
            await world.work(one(world.workers, which))
        if what == "retry" and world.set_aside:
            await world.retry_later(one(world.set_aside, which))
        if what == "call back" and world.bank.untold:
            await world.call_back(picks)


def one(of: list[Any], which: int) -> Any:
    return of[which % len(of)]
