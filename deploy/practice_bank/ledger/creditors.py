"""The creditors in the books, and their clocks."""

import sqlite3
from datetime import datetime, timedelta
from typing import Literal

from deploy.practice_bank.ledger.file import BookFile, written
from deploy.practice_bank.rows import Creditor

_CREDITORS = "select id, name, callback_url, callback_secret, reference, now from creditor "
_SOMETHING_WAITS = """(
    exists (select 1 from planned where creditor_id = creditor.id)
    or exists (select 1 from callback where creditor_id = creditor.id and state = 'held')
)"""
_MADE_WITH = {
    table: f"select id from {table} where creditor_id = ? and idempotency_key = ?"  # noqa: S608 - names of our tables
    for table in ("customer", "bank_account", "mandate", "payment")
}
Made = Literal["customer", "bank_account", "mandate", "payment"]


class Creditors(BookFile):
    """Who may collect, and how late it is for each."""

    def add_creditor(self, creditor: Creditor, token_sha256: str) -> None:
        """Let a business collect."""
        self._db.execute(
            """
            insert into creditor (id, name, token_sha256, callback_url, callback_secret, reference, now)
            values (:id, :name, :token_sha256, :callback_url, :callback_secret, :reference, :now)
            """,
            vars(creditor) | {"token_sha256": token_sha256, "now": creditor.now and creditor.now.isoformat()},
        )

    def creditor(self, creditor_id: str) -> Creditor:
        """The creditor of this id."""
        return _creditor(self._one(_CREDITORS + "where id = ?", creditor_id))

    def creditor_by_token(self, token_sha256: str) -> Creditor:
        """The creditor whose access token has this hash."""
        return _creditor(self._one(_CREDITORS + "where token_sha256 = ?", token_sha256))

    def creditors(self, reference: str | None = None) -> list[Creditor]:
        """All creditors, or those that call themselves so; oldest first."""
        rows = self._db.execute(_CREDITORS + "where ?1 is null or reference = ?1 order by rowid", (reference,))
        return [_creditor(row) for row in rows]

    def creditors_in_real_time(self) -> list[Creditor]:
        """Those without a practice clock, for whom something waits."""
        rows = self._db.execute(_CREDITORS + "where now is null and " + _SOMETHING_WAITS)
        return [_creditor(row) for row in rows]

    def set_clock(self, creditor_id: str, now: datetime) -> None:
        """Move a practice clock."""
        self._db.execute("update creditor set now = ? where id = ?", (now.isoformat(), creditor_id))

    def stamp(self, creditor: Creditor) -> str:
        """The creditor's instant, yet later than any given to it before.

        So its events sorted by time are in the order they happened.
        """
        last = datetime.fromisoformat(self._one("select last_at from creditor where id = ?", creditor.id)["last_at"])
        at = written(max(creditor.time, last + timedelta(microseconds=1)))
        self._db.execute("update creditor set last_at = ? where id = ?", (at, creditor.id))
        return at

    def made_with(self, made: Made, creditor_id: str, idempotency_key: str) -> str | None:
        """The id of what this creditor made with this key before; each kind of thing has keys of its own."""
        row = self._db.execute(_MADE_WITH[made], (creditor_id, idempotency_key)).fetchone()
        return None if row is None else str(row["id"])


def _creditor(row: sqlite3.Row) -> Creditor:
    return Creditor(**{**row, "now": row["now"] and datetime.fromisoformat(row["now"])})
