"""The payments in the books, what will become of them, and what became of them and of mandates."""

from datetime import date, datetime

from deploy.practice_bank.ledger.file import BookFile, parsed, told_in_json, written
from deploy.practice_bank.rows import Event, Payment, Planned

_PAYMENTS = """
    select payment.*, (select action from event where payment_id = payment.id order by seq desc limit 1) as last_action
    from payment
"""
_ON_THE_PAGE = """
    where creditor_id = :creditor and (:mandate is null or mandate_id = :mandate)
    and (:since is null or created_at >= :since)
    and (:after is null or rowid < (select rowid from payment where id = :after))
    order by rowid desc limit :limit
"""
_EVENTS = """
    select id, creditor_id, payment_id, mandate_id, created_at, action, details, callback_id, parent_id from event
"""


class Payments(BookFile):
    """What was asked for, and all that happened."""

    def add_payment(self, payment: Payment) -> None:
        """Keep an accepted payment, for good; its state is that of its events."""
        self._db.execute(
            """
            insert into payment values (
                :id, :creditor_id, :idempotency_key, :mandate_id, :created_at, :amount, :currency, :charge_date,
                :metadata, :scenario
            )
            """,
            told_in_json(payment, "metadata"),
        )

    def payment(self, payment_id: str) -> Payment:
        """The payment of this id, in its present state."""
        row = self._one(_PAYMENTS + "where id = ?", payment_id)
        return Payment(**parsed(row, "metadata"))

    def payments(self, limit: int = -1, *, creditor_id: str | None = None) -> list[Payment]:
        """Everything ever accepted, or the newest so many, or one creditor's; newest first."""
        rows = self._db.execute(
            _PAYMENTS + "where ?1 is null or creditor_id = ?1 order by rowid desc limit ?2", (creditor_id, limit)
        )
        return [Payment(**parsed(row, "metadata")) for row in rows]

    def payments_of(
        self, creditor_id: str, mandate_id: str | None, since: datetime | None, after: str | None, *, limit: int
    ) -> list[Payment]:
        """A creditor's payments, newest first: of one mandate, made since then, that follow this one in the list."""
        rows = self._db.execute(
            _PAYMENTS + _ON_THE_PAGE,
            {
                "creditor": creditor_id,
                "mandate": mandate_id,
                "since": since and written(since),
                "after": after,
                "limit": limit,
            },
        )
        return [Payment(**parsed(row, "metadata")) for row in rows]

    def payments_under(self, mandate_id: str) -> list[Payment]:
        """The payments of a mandate, oldest first."""
        rows = self._db.execute(_PAYMENTS + "where mandate_id = ? order by rowid", (mandate_id,))
        return [Payment(**parsed(row, "metadata")) for row in rows]

    # What will become of them

    def plan(self, creditor_id: str, planned: Planned) -> None:
        """A step is to be taken on its day."""
        self._db.execute(
            """
            insert into planned (creditor_id, payment_id, day, move, cause)
            values (:creditor_id, :payment_id, :day, :move, :cause)
            """,
            vars(planned) | {"creditor_id": creditor_id},
        )

    def next_day(self, creditor_id: str) -> date | None:
        """The first day on which something waits: a step, or a callback that is held until then."""
        day = self._one(
            """
            select min(day) as day from (
                select min(day) as day from planned where creditor_id = ?1
                union all
                select min(release_date) from callback where creditor_id = ?1 and state = 'held'
            )
            """,
            creditor_id,
        )["day"]
        return day and date.fromisoformat(day)

    def take_planned(self, creditor_id: str, day: date) -> list[Planned]:
        """The steps of a day, in the order they were planned; they wait no longer."""
        values = (creditor_id, day.isoformat())
        rows = self._db.execute(
            "select payment_id, day, move, cause from planned where creditor_id = ? and day = ? order by seq", values
        ).fetchall()
        self._db.execute("delete from planned where creditor_id = ? and day = ?", values)
        return [Planned(**row) for row in rows]

    def forget_plans(self, payment_id: str) -> None:
        """Nothing more becomes of this payment by itself."""
        self._db.execute("delete from planned where payment_id = ?", (payment_id,))

    # What became of them

    def add_event(self, event: Event) -> None:
        """Write the next step of a payment or a mandate into the log, for good."""
        self._db.execute(
            """
            insert into event (
                id, creditor_id, payment_id, mandate_id, created_at, action, details, callback_id, parent_id
            ) values (
                :id, :creditor_id, :payment_id, :mandate_id, :created_at, :action, :details, :callback_id, :parent_id
            )
            """,
            told_in_json(event, "details"),
        )

    def history(self, payment_id: str) -> list[Event]:
        """A payment's steps, in order."""
        rows = self._db.execute(_EVENTS + "where payment_id = ? order by seq", (payment_id,))
        return [Event(**parsed(row, "details")) for row in rows]
