"""What every verb of the bank works with."""

from collections.abc import Callable
from typing import TypeVar

from deploy.practice_bank.errors import AlreadyCreated, NotFound
from deploy.practice_bank.ledger import Ledger
from deploy.practice_bank.ledger.creditors import Made
from deploy.practice_bank.rows import BankAccount, Creditor, Customer, Mandate, Payment
from deploy.practice_bank.telling import Teller

Owned = TypeVar("Owned", Customer, BankAccount, Mandate, Payment)


class Desk:
    """The books, and whoever tells creditors; `ring` is called whenever there is a callback to send."""

    def __init__(self, ledger: Ledger, ring: Callable[[], None]) -> None:
        self._ledger = ledger
        self._teller = Teller(ledger, ring)
        self._ring = ring

    def _refuse_repeat(self, made: Made, creditor: Creditor, key: str | None) -> None:
        """A key makes one thing of a kind once; used again, it names that thing."""
        before = self._ledger.made_with(made, creditor.id, key) if key is not None else None
        if before is not None:
            raise AlreadyCreated(before)


def own(creditor: Creditor, thing: Owned) -> Owned:
    """Another creditor's thing is no different from one that is not there."""
    if thing.creditor_id != creditor.id:
        raise NotFound
    return thing
