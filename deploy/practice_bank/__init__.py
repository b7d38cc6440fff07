"""The practice bank: a small direct-debit provider, and an independent judge of what was debited.

Owns      creditors (who may collect) with their clocks, payers, mandates and payments with their history, callbacks
          with their answers.
Answers   `/customers`, `/customer_bank_accounts`, `/mandates` and `/payments`, in the shape of the GoCardless API; a
          bearer token says which creditor asks.
Calls     the creditor's callback address, signed, until it answers 2xx.
Obeys     `/practice/…`: a person or a test decides there what becomes of a payment, by hand or by the name of a
          scenario (`scenarios`), and lets days pass for a creditor on a practice clock; else it lives in real time.

It imports nothing of the product. Its log only grows, and survives `kill -9` of the bank.
"""

from deploy.practice_bank.app import create_app
from deploy.practice_bank.serving import running_bank

__all__ = ["create_app", "running_bank"]
