"""Delivers callbacks, at least once and in no promised order, until the creditor answers 2xx."""

import asyncio
import hashlib
import hmac
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx

from deploy.practice_bank.ledger import Ledger
from deploy.practice_bank.ledger.file import written
from deploy.practice_bank.rows import Answer, Callback
from deploy.practice_bank.rules import pause_before_repeat

ANSWER_WITHIN_SECONDS = 10
AT_ONCE = 32


def signature(secret: str, body: bytes) -> str:
    """Lower-case hexadecimal HMAC-SHA256 of the raw body, as `Webhook-Signature` carries it."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class Courier:
    """One task that sends what is due and sleeps until something is. What is unsent is a row, so it survives."""

    def __init__(self, ledger: Ledger, first_pause: timedelta) -> None:
        self._ledger = ledger
        self._first_pause = first_pause
        self._rung = asyncio.Event()
        self._under_way: set[str] = set()

    def ring(self) -> None:
        """There is something to send, or room to send it."""
        self._rung.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with (
            httpx.AsyncClient(trust_env=False, timeout=ANSWER_WITHIN_SECONDS) as http,
            asyncio.TaskGroup() as tasks,
        ):
            while True:
                self._rung.clear()
                now = time.time()
                for callback in self._to_send(now):
                    self._under_way.add(callback.id)
                    tasks.create_task(self._deliver(http, callback))
                await self._sleep_until(self._ledger.next_try_at(after=now))

    def _to_send(self, now: float) -> list[Callback]:
        due = self._ledger.due_callbacks(now, limit=2 * AT_ONCE)
        waiting = [callback for callback in due if callback.id not in self._under_way]
        return waiting[: AT_ONCE - len(self._under_way)]

    async def _sleep_until(self, at: float | None) -> None:
        try:
            async with asyncio.timeout(None if at is None else max(0, at - time.time())):
                await self._rung.wait()
        except TimeoutError:
            return

    async def _deliver(self, http: httpx.AsyncClient, callback: Callback) -> None:
        """One try: a 2xx within ten seconds is a delivery, anything else is repeated after a pause.

        What a scenario adds comes at once: after a try with a wrong signature the right one, after a delivery a copy.
        """
        outcome = await self._post(http, callback)
        tries = callback.tries + 1
        pause: timedelta | None = timedelta()
        if callback.misleading:
            outcome += " to a wrong signature"
            then = replace(callback, tries=tries, misleading=False)
        elif outcome.startswith("2") and callback.copies:
            then = replace(callback, tries=0, copies=callback.copies - 1)
        elif outcome.startswith("2"):
            then = replace(callback, tries=tries, state="delivered")
        else:
            pause = pause_before_repeat(tries, self._first_pause)
            then = replace(callback, tries=tries, state="given_up" if pause is None else "unsent")
        next_try_at = time.time() + (pause or timedelta()).total_seconds()
        with self._ledger.transaction():
            self._ledger.add_answer(callback.id, Answer(written(datetime.now(UTC)), outcome))
            self._ledger.set_callback(then, next_try_at)
        self._under_way.remove(callback.id)
        self.ring()

    async def _post(self, http: httpx.AsyncClient, callback: Callback) -> str:
        creditor = self._ledger.creditor(callback.creditor_id)
        body = callback.body.encode()
        secret = f"not {creditor.callback_secret}" if callback.misleading else creditor.callback_secret
        headers = {"Content-Type": "application/json", "Webhook-Signature": signature(secret, body)}
        try:
            async with asyncio.timeout(ANSWER_WITHIN_SECONDS):
                answer = await http.post(creditor.callback_url, content=body, headers=headers)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong with one try, the others go on
            return type(error).__name__
        return str(answer.status_code)
