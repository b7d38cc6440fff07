"""Who pays, from which account, and with which leave."""

from deploy.practice_bank import rules
from deploy.practice_bank.bank.desk import Desk, own
from deploy.practice_bank.errors import IllegalMove, Invalid, NotFound
from deploy.practice_bank.ids import new_id
from deploy.practice_bank.rows import BankAccount, Creditor, Customer, Mandate
from deploy.practice_bank.scenarios import AFTERWARDS, SCENARIOS
from deploy.practice_bank.shapes import Behaviour, NewAccount, NewCustomer, NewMandate, NewSignedMandate


class Payers(Desk):
    """The verbs about payers and their mandates."""

    def accept_customer(self, creditor: Creditor, new: NewCustomer, key: str | None) -> Customer:
        """A payer, as the creditor knows them."""
        with self._ledger.transaction():
            self._refuse_repeat("customer", creditor, key)
            customer = Customer(
                id=new_id("CU"),
                creditor_id=creditor.id,
                idempotency_key=key,
                created_at=self._ledger.stamp(creditor),
                **new.model_dump(),
            )
            self._ledger.add_customer(customer)
        return customer

    def accept_account(self, creditor: Creditor, new: NewAccount, key: str | None) -> BankAccount:
        """A payer's account; of its number only the last two digits are kept."""
        with self._ledger.transaction():
            self._refuse_repeat("bank_account", creditor, key)
            try:
                customer = own(creditor, self._ledger.customer(new.links.customer))
            except NotFound:
                raise Invalid.field("/customer_bank_accounts/links/customer", "could not be found") from None
            account = BankAccount(
                id=new_id("BA"),
                creditor_id=creditor.id,
                customer_id=customer.id,
                idempotency_key=key,
                created_at=self._ledger.stamp(creditor),
                account_holder_name=new.account_holder_name,
                account_number_ending=new.account_number.get_secret_value()[-2:],
                currency=new.currency,
                country_code=new.country_code or rules.COUNTRIES[new.currency],
                metadata=new.metadata,
            )
            self._ledger.add_account(account)
        return account

    def accept_mandate(self, creditor: Creditor, new: NewMandate, key: str | None) -> Mandate:
        """A mandate on an account of a payer; it becomes active at once, and its payments are collected.

        The answer is the mandate as it was accepted; callbacks and look-ups tell what became of it.
        """
        with self._ledger.transaction():
            self._refuse_repeat("mandate", creditor, key)
            try:
                account = own(creditor, self._ledger.account(new.links.customer_bank_account))
            except NotFound:
                raise Invalid.field("/mandates/links/customer_bank_account", "could not be found") from None
            if new.scheme not in (None, rules.SCHEMES[account.currency]):
                raise Invalid.field("/mandates/scheme", f"must be {rules.SCHEMES[account.currency]} for this account")
            mandate = Mandate(
                id=new_id("MD"),
                creditor_id=creditor.id,
                account_id=account.id,
                idempotency_key=key,
                created_at=self._ledger.stamp(creditor),
                account_holder_name=account.account_holder_name,
                account_number_ending=account.account_number_ending,
                currency=account.currency,
                metadata=new.metadata,
                behaviour=AFTERWARDS,
                cause=None,
                left=None,
                last_action="created",
            )
            self._ledger.add_mandate(mandate)
            self._teller.note_mandate(creditor, mandate, "created", "submitted", "active", told=True)
        return mandate

    def accept_signed_mandate(self, creditor: Creditor, new: NewSignedMandate, key: str | None) -> Mandate:
        """A payer signs at the bank's own page: active at once, decided by hand, and nobody is called back."""
        with self._ledger.transaction():
            self._refuse_repeat("mandate", creditor, key)
            mandate = Mandate(
                id=new_id("MD"),
                creditor_id=creditor.id,
                account_id=None,
                idempotency_key=key,
                created_at=self._ledger.stamp(creditor),
                account_holder_name=new.account_holder_name,
                account_number_ending=new.account_number.get_secret_value()[-2:],
                currency=new.currency,
                metadata=new.metadata,
                behaviour="manual",
                cause=None,
                left=None,
                last_action="active",
            )
            self._ledger.add_mandate(mandate)
            self._teller.note_mandate(creditor, mandate, "active", told=False)
        return mandate

    def mandate_of(self, creditor: Creditor, mandate_id: str) -> Mandate:
        """A mandate, to its own creditor."""
        return own(creditor, self._ledger.mandate(mandate_id))

    def behave(self, mandate_id: str, behaviour: Behaviour) -> Mandate:
        """From now on new payments of this mandate go like this."""
        with self._ledger.transaction():
            left = SCENARIOS[behaviour.payments].applies_to
            self._ledger.set_behaviour(mandate_id, behaviour.payments, behaviour.cause, left)
        return self._ledger.mandate(mandate_id)

    def cancel_mandate(self, mandate_id: str) -> Mandate:
        """The payer cancels at their bank; payments that are not yet confirmed are cancelled too."""
        with self._ledger.transaction():
            mandate = self._ledger.mandate(mandate_id)
            if mandate.status not in rules.PAYABLE:
                raise IllegalMove("cancel", mandate.status, what="mandate")
            self._teller.cancel_mandate(self._ledger.creditor(mandate.creditor_id), mandate)
        return self._ledger.mandate(mandate_id)
