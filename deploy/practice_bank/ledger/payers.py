"""The payers in the books: customers, their accounts, their mandates."""

from deploy.practice_bank.ledger.file import BookFile, parsed, told_in_json
from deploy.practice_bank.rows import BankAccount, Customer, Mandate

_MANDATES = """
    select mandate.*, (select action from event where mandate_id = mandate.id order by seq desc limit 1) as last_action
    from mandate
"""


class Payers(BookFile):
    """Who pays, from which account, and with which leave."""

    def add_customer(self, customer: Customer) -> None:
        """Keep a payer."""
        self._db.execute(
            """
            insert into customer values (
                :id, :creditor_id, :idempotency_key, :created_at, :given_name, :family_name, :company_name, :email,
                :metadata
            )
            """,
            told_in_json(customer, "metadata"),
        )

    def customer(self, customer_id: str) -> Customer:
        """The payer of this id."""
        return Customer(**parsed(self._one("select * from customer where id = ?", customer_id), "metadata"))

    def add_account(self, account: BankAccount) -> None:
        """Keep a payer's account, as far as it is kept."""
        self._db.execute(
            """
            insert into bank_account values (
                :id, :creditor_id, :customer_id, :idempotency_key, :created_at, :account_holder_name,
                :account_number_ending, :currency, :country_code, :metadata
            )
            """,
            told_in_json(account, "metadata"),
        )

    def account(self, account_id: str) -> BankAccount:
        """The account of this id."""
        return BankAccount(**parsed(self._one("select * from bank_account where id = ?", account_id), "metadata"))

    def add_mandate(self, mandate: Mandate) -> None:
        """Keep a mandate; its state is that of its events."""
        self._db.execute(
            """
            insert into mandate values (
                :id, :creditor_id, :account_id, :idempotency_key, :created_at, :account_holder_name,
                :account_number_ending, :currency, :metadata, :behaviour, :cause, :left
            )
            """,
            told_in_json(mandate, "metadata"),
        )

    def mandate(self, mandate_id: str) -> Mandate:
        """The mandate of this id, in its present state."""
        return Mandate(**parsed(self._one(_MANDATES + "where id = ?", mandate_id), "metadata"))

    def set_behaviour(self, mandate_id: str, behaviour: str, cause: str | None, left: int | None) -> None:
        """What becomes of this mandate's next payments, and of how many."""
        self._db.execute(
            "update mandate set behaviour = ?, cause = ?, left = ? where id = ?", (behaviour, cause, left, mandate_id)
        )

    def use_up(self, mandate_id: str) -> None:
        """The behaviour applies to one less from now on, if it was for so many."""
        self._db.execute("update mandate set left = left - 1 where id = ? and left > 0", (mandate_id,))
