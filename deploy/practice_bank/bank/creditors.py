"""Who collects, and the days that pass for them."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from secrets import token_urlsafe

from deploy.practice_bank.bank.desk import Desk
from deploy.practice_bank.errors import ClockRefused, IllegalMove, NotAuthenticated, NotFound
from deploy.practice_bank.ids import new_id
from deploy.practice_bank.rows import Creditor
from deploy.practice_bank.shapes import Because, NewCreditor


def _hashed(token: str) -> str:
    return sha256(token.encode()).hexdigest()


class Creditors(Desk):
    """The verbs about a creditor itself."""

    def open_creditor(self, new: NewCreditor) -> tuple[Creditor, str]:
        """A new creditor and its access token, which is told this once and kept only as a hash."""
        token = token_urlsafe(32)
        secret = new.callback_secret.get_secret_value()
        creditor = Creditor(new_id("CR"), new.name, str(new.callback_url), secret, new.reference, new.now)
        with self._ledger.transaction():
            self._ledger.add_creditor(creditor, _hashed(token))
        return creditor, token

    def creditor(self, token: str) -> Creditor:
        """Who is asking."""
        try:
            return self._ledger.creditor_by_token(_hashed(token))
        except NotFound:
            raise NotAuthenticated from None

    def move_clock(self, creditor_id: str, now: datetime) -> tuple[Creditor, int]:
        """A practice clock moves forward, and every day between passes; on how many of them something happened.

        Raises ClockRefused.
        """
        creditor = self._ledger.creditor(creditor_id)
        if creditor.now is None:
            raise ClockRefused("This creditor lives in real time")
        if now < creditor.now:
            raise ClockRefused(f"The clock stands at {creditor.now.isoformat()}, and only moves forward")
        with self._ledger.transaction():
            eventful = self._pass_days(creditor, now)
            self._ledger.set_clock(creditor_id, now)
        self._ring()
        return self._ledger.creditor(creditor_id), eventful

    def live_in_real_time(self) -> None:
        """Let the days pass that have come for creditors without a practice clock."""
        for creditor in self._ledger.creditors_in_real_time():
            with self._ledger.transaction():
                self._pass_days(creditor, datetime.now(UTC))
        self._ring()

    def _pass_days(self, creditor: Creditor, now: datetime) -> int:
        """Take all that waits for a day up to now, in the order of days, each at its own date and the time of now.

        Returns how many days there were on which something waited.

        A step that is not possible any more, because somebody decided by hand, is left out.
        """
        eventful = 0
        while (day := self._ledger.next_day(creditor.id)) and day <= now.date():
            eventful += 1
            then = replace(creditor, now=datetime.combine(day, now.timetz()))
            self._ledger.release_by_date(creditor.id, day)
            for planned in self._ledger.take_planned(creditor.id, day):
                with suppress(IllegalMove):
                    self._teller.step(then, planned.payment_id, planned.move, Because(cause=planned.cause))
        return eventful
