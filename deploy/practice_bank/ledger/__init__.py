"""The bank's own books: one SQLite file; only this folder speaks SQL.

Payments, their events and the answers to callbacks are final: a trigger refuses to change or delete them.
The write-ahead log makes a committed row survive `kill -9` of the bank without a disk flush per payment.
"""

from deploy.practice_bank.ledger.callbacks import Callbacks
from deploy.practice_bank.ledger.creditors import Creditors
from deploy.practice_bank.ledger.payers import Payers
from deploy.practice_bank.ledger.payments import Payments

__all__ = ["Ledger"]


class Ledger(Creditors, Payers, Payments, Callbacks):
    """The books, opened by one bank at a time and used from one thread. What they do not hold is `NotFound`."""
