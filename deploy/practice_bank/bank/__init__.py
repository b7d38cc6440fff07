"""The bank's verbs: what a creditor asks for, and what becomes of it. Every verb is one transaction."""

from deploy.practice_bank.bank.creditors import Creditors
from deploy.practice_bank.bank.payers import Payers
from deploy.practice_bank.bank.payments import Payments

__all__ = ["Bank"]


class Bank(Creditors, Payers, Payments):
    """All that the bank does."""
