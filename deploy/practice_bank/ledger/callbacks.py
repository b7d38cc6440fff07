"""The deliveries in the books, and what each try brought."""

import sqlite3
from datetime import date

from deploy.practice_bank.ledger.file import BookFile
from deploy.practice_bank.rows import Answer, Callback

_CALLBACKS = """
    select id, creditor_id, body, state, tries, payment_id, release_date, after_id, copies, misleading from callback
"""
_HAS_ITS_TURN = """
    not exists (select 1 from callback first where first.id = callback.after_id and first.state = 'unsent')
"""
_LONGEST_WAITING = "order by next_try_at, rowid limit ?"


class Callbacks(BookFile):
    """What creditors are told."""

    def add_callback(self, callback: Callback) -> None:
        """Keep a delivery; unless it is held, it is due at once."""
        self._db.execute(
            """
            insert into callback values (
                :id, :creditor_id, :body, :state, :tries, :payment_id, :release_date, :after_id, :copies, :misleading,
                0
            )
            """,
            vars(callback),
        )

    def callback(self, callback_id: str) -> Callback:
        """The delivery of this id."""
        return _callback(self._one(_CALLBACKS + "where id = ?", callback_id))

    def callbacks(
        self, state: str | None = None, *, creditor_id: str | None = None, reference: str | None = None
    ) -> list[Callback]:
        """The deliveries in this state, to this creditor, to those that call themselves so; oldest first."""
        wanted = {
            "state = ?": state,
            "creditor_id = ?": creditor_id,
            "creditor_id in (select id from creditor where reference = ?)": reference,
        }
        given = {condition: value for condition, value in wanted.items() if value is not None}
        where = " and ".join(given) or "true"
        rows = self._db.execute(f"{_CALLBACKS} where {where} order by rowid", tuple(given.values()))
        return [_callback(row) for row in rows]

    def held_about(self, payment_id: str) -> list[Callback]:
        """The deliveries about a payment that are held, oldest first."""
        rows = self._db.execute(_CALLBACKS + "where payment_id = ? and state = 'held' order by rowid", (payment_id,))
        return [_callback(row) for row in rows]

    def release(self, callback_id: str, after_id: str | None) -> None:
        """Hold a delivery no longer; it goes once the other one has."""
        self._db.execute("update callback set state = 'unsent', after_id = ? where id = ?", (after_id, callback_id))

    def release_by_date(self, creditor_id: str, day: date) -> None:
        """Hold no longer what was to wait until this day."""
        self._db.execute(
            "update callback set state = 'unsent' where creditor_id = ? and state = 'held' and release_date <= ?",
            (creditor_id, day.isoformat()),
        )

    def due_callbacks(self, now: float, limit: int) -> list[Callback]:
        """Unsent deliveries whose time and turn have come, the longest waiting first."""
        rows = self._db.execute(
            _CALLBACKS + "where state = 'unsent' and next_try_at <= ? and " + _HAS_ITS_TURN + _LONGEST_WAITING,
            (now, limit),
        )
        return [_callback(row) for row in rows]

    def next_try_at(self, after: float) -> float | None:
        """When the next unsent delivery falls due."""
        query = "select min(next_try_at) as at from callback where state = 'unsent' and next_try_at > ?"
        at: float | None = self._one(query, after)["at"]
        return at

    def set_callback(self, callback: Callback, next_try_at: float) -> None:
        """How far a delivery got, and when it is tried next if it is unsent."""
        self._db.execute(
            """
            update callback set state = :state, tries = :tries, copies = :copies, misleading = :misleading,
            next_try_at = :next_try_at where id = :id
            """,
            vars(callback) | {"next_try_at": next_try_at},
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


def _callback(row: sqlite3.Row) -> Callback:
    return Callback(**{**row, "misleading": bool(row["misleading"])})
