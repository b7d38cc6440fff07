"""The bank's own books: one SQLite file, and the only place that speaks SQL.

Payments, their events and the answers to callbacks are final: a trigger refuses to change or delete them.
The write-ahead log makes a committed row survive `kill -9` of the bank without a disk flush per payment.
"""

import json
import sqlite3
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from deploy.practice_bank.errors import NotFound
from deploy.practice_bank.rows import Answer, Callback, Creditor, Event, Mandate, Payment

_SCHEMA = Path(__file__).with_name("ledger.sql").read_text()
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


class Ledger:
    """The books, opened by one bank at a time and used from one thread. What they do not hold is `NotFound`."""

    def __init__(self, state_dir: Path) -> None:
        state_dir.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(state_dir / "bank.sqlite3")
        self._db.row_factory = sqlite3.Row
        self._db.executescript(_SCHEMA)
        last = self._one("select max(created_at) as at from event")["at"]
        self._last = datetime.fromisoformat(last) if last else datetime.min.replace(tzinfo=UTC)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def transaction(self) -> AbstractContextManager[object]:
        """All of it or none of it."""
        return self._db

    def now(self) -> str:
        """An instant later than any given before, so that events sorted by time are in the order they happened."""
        self._last = max(datetime.now(UTC), self._last + timedelta(microseconds=1))
        return _written(self._last)

    # Creditors

    def add_creditor(self, creditor: Creditor, token_sha256: str) -> None:
        """Let a business collect."""
        self._db.execute(
            "insert into creditor values (:id, :name, :token_sha256, :callback_url, :callback_secret)",
            vars(creditor) | {"token_sha256": token_sha256},
        )

    def creditor(self, creditor_id: str) -> Creditor:
        """The creditor of this id."""
        row = self._one("select id, name, callback_url, callback_secret from creditor where id = ?", creditor_id)
        return Creditor(**row)

    def creditor_by_token(self, token_sha256: str) -> Creditor:
        """The creditor whose access token has this hash."""
        row = self._one(
            "select id, name, callback_url, callback_secret from creditor where token_sha256 = ?", token_sha256
        )
        return Creditor(**row)

    def made_with(self, creditor_id: str, idempotency_key: str) -> str | None:
        """The id of the mandate or payment that this creditor made with this key before."""
        rows = self._db.execute(
            """
            select id from mandate where creditor_id = ?1 and idempotency_key = ?2
            union all
            select id from payment where creditor_id = ?1 and idempotency_key = ?2
            """,
            (creditor_id, idempotency_key),
        )
        return next((str(row["id"]) for row in rows), None)

    # Mandates, payments and their events

    def add_mandate(self, mandate: Mandate) -> None:
        """Keep a mandate."""
        self._db.execute(
            """
            insert into mandate values (
                :id, :creditor_id, :idempotency_key, :created_at, :account_holder_name, :account_number_ending,
                :currency, :metadata, :behaviour, :cause
            )
            """,
            vars(mandate) | {"metadata": json.dumps(mandate.metadata)},
        )

    def set_behaviour(self, mandate_id: str, behaviour: str, cause: str | None) -> None:
        """What becomes of this mandate's next payments."""
        self._db.execute("update mandate set behaviour = ?, cause = ? where id = ?", (behaviour, cause, mandate_id))

    def mandate(self, mandate_id: str) -> Mandate:
        """The mandate of this id."""
        row = self._one("select * from mandate where id = ?", mandate_id)
        return Mandate(**_parsed(row, "metadata"))

    def add_payment(self, payment: Payment) -> None:
        """Keep an accepted payment, for good; its state is that of its events."""
        self._db.execute(
            """
            insert into payment values (
                :id, :creditor_id, :idempotency_key, :mandate_id, :created_at, :amount, :currency, :charge_date,
                :metadata
            )
            """,
            vars(payment) | {"metadata": json.dumps(payment.metadata)},
        )

    def payment(self, payment_id: str) -> Payment:
        """The payment of this id, in its present state."""
        row = self._one(_PAYMENTS + "where id = ?", payment_id)
        return Payment(**_parsed(row, "metadata"))

    def payments(self, limit: int = -1) -> list[Payment]:
        """Everything ever accepted, or the newest so many; newest first."""
        rows = self._db.execute(_PAYMENTS + "order by rowid desc limit ?", (limit,))
        return [Payment(**_parsed(row, "metadata")) for row in rows]

    def payments_of(
        self, creditor_id: str, mandate_id: str | None, since: datetime | None, after: str | None, *, limit: int
    ) -> list[Payment]:
        """A creditor's payments, newest first: of one mandate, made since then, that follow this one in the list."""
        rows = self._db.execute(
            _PAYMENTS + _ON_THE_PAGE,
            {
                "creditor": creditor_id,
                "mandate": mandate_id,
                "since": since and _written(since),
                "after": after,
                "limit": limit,
            },
        )
        return [Payment(**_parsed(row, "metadata")) for row in rows]

    def add_event(self, event: Event) -> None:
        """Write a payment's next step into the log, for good."""
        self._db.execute(
            """
            insert into event (id, payment_id, created_at, action, details, callback_id)
            values (:id, :payment_id, :created_at, :action, :details, :callback_id)
            """,
            vars(event) | {"details": json.dumps(event.details)},
        )

    def history(self, payment_id: str) -> list[Event]:
        """A payment's steps, in order."""
        rows = self._db.execute(
            """
            select id, payment_id, created_at, action, details, callback_id
            from event where payment_id = ? order by seq
            """,
            (payment_id,),
        )
        return [Event(**_parsed(row, "details")) for row in rows]

    # Callbacks and their answers

    def add_callback(self, callback: Callback) -> None:
        """Queue a delivery, due at once."""
        self._db.execute("insert into callback values (:id, :creditor_id, :body, :state, :tries, 0)", vars(callback))

    def callback(self, callback_id: str) -> Callback:
        """The delivery of this id."""
        row = self._one("select id, creditor_id, body, state, tries from callback where id = ?", callback_id)
        return Callback(**row)

    def callbacks(self, state: str | None) -> list[Callback]:
        """The deliveries in this state, or all of them, oldest first."""
        rows = self._db.execute(
            """
            select id, creditor_id, body, state, tries from callback
            where state = ?1 or ?1 is null order by rowid
            """,
            (state,),
        )
        return [Callback(**row) for row in rows]

    def due_callbacks(self, now: float, limit: int) -> list[Callback]:
        """Unsent deliveries whose time has come, the longest waiting first."""
        rows = self._db.execute(
            """
            select id, creditor_id, body, state, tries from callback
            where state = 'unsent' and next_try_at <= ? order by next_try_at, rowid limit ?
            """,
            (now, limit),
        )
        return [Callback(**row) for row in rows]

    def next_try_at(self, after: float) -> float | None:
        """When the next unsent delivery falls due."""
        query = "select min(next_try_at) as at from callback where state = 'unsent' and next_try_at > ?"
        at: float | None = self._one(query, after)["at"]
        return at

    def set_callback_state(self, callback_id: str, state: str, tries: int, next_try_at: float) -> None:
        """How far a delivery got."""
        self._db.execute(
            "update callback set state = ?, tries = ?, next_try_at = ? where id = ?",
            (state, tries, next_try_at, callback_id),
        )

    def add_answer(self, callback_id: str, answer: Answer) -> None:
        """Keep what one try brought, for good."""
        self._db.execute(
            "insert into answer (callback_id, at, outcome) values (?, ?, ?)", (callback_id, answer.at, answer.outcome)
        )

    def answers(self, callback_id: str) -> list[Answer]:
        """What the tries of a delivery brought, in order."""
        rows = self._db.execute("select at, outcome from answer where callback_id = ? order by seq", (callback_id,))
        return [Answer(**row) for row in rows]

    def _one(self, query: str, *values: object) -> Any:
        row = self._db.execute(query, values).fetchone()
        if row is None:
            raise NotFound
        return row


def _written(instant: datetime) -> str:
    """An instant such that texts sort as the instants do."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _parsed(row: sqlite3.Row, column: str) -> dict[str, Any]:
    """The row as a dictionary, with the JSON of one column read."""
    return {**row, column: json.loads(row[column])}
