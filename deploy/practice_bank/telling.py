"""Writes down what happens to payments and mandates, and lays out the callbacks that tell of it."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from deploy.practice_bank import rules
from deploy.practice_bank.days import bank_days_after
from deploy.practice_bank.ids import new_id
from deploy.practice_bank.ledger import Ledger
from deploy.practice_bank.rows import Callback, Creditor, Event, Mandate, Payment
from deploy.practice_bank.scenarios import HELD_BANK_DAYS, SCENARIOS
from deploy.practice_bank.shapes import Because
from deploy.practice_bank.views import callback_event

SENT_AGAIN = 2
"""How many more copies of a callback come in the scenario of duplicates."""


class Teller:
    """Every verb belongs inside a transaction; `ring` is called whenever there is a callback to send."""

    def __init__(self, ledger: Ledger, ring: Callable[[], None]) -> None:
        self._ledger = ledger
        self._ring = ring

    # Payments

    def note_payment(self, creditor: Creditor, payment: Payment) -> None:
        """A payment was created; its creditor knows that from the answer."""
        self._ledger.add_event(self._event(creditor, "created", rules.CREATED, payment=payment))

    def step(self, creditor: Creditor, payment_id: str, move: str, because: Because) -> None:
        """A payment takes a step, and its creditor is told. Raises IllegalMove, and writes nothing then."""
        payment = self._ledger.payment(payment_id)
        scheme = rules.SCHEMES[payment.currency]
        action, details = rules.step(payment.status, scheme, move, **because.model_dump())
        callback = self._callback(creditor, payment)
        event = self._event(creditor, action, details, payment=payment, callback_id=callback.id)
        self._tell(callback, [callback_event(event, payment.metadata)])
        self._ledger.add_event(event)
        match SCENARIOS[payment.scenario].telling:
            case "again":
                self._tell_all_again(creditor, payment)
            case "reversed" if payment.status == "submitted":
                self._release_last_first(payment)

    def _callback(self, creditor: Creditor, payment: Payment) -> Callback:
        """A delivery about a payment, still without its body, in the way of the payment's scenario."""
        callback = Callback(new_id("WB"), creditor.id, body="")
        match SCENARIOS[payment.scenario].telling:
            case "again":
                return replace(callback, copies=SENT_AGAIN)
            case "reversed" if payment.status in ("pending_submission", "submitted"):
                return replace(callback, state="held", payment_id=payment.id)
            case "late":
                release = bank_days_after(creditor.today, HELD_BANK_DAYS, payment.currency)
                return replace(callback, state="held", payment_id=payment.id, release_date=release.isoformat())
            case "badly_signed":
                return replace(callback, misleading=True)
        return callback

    def _tell_all_again(self, creditor: Creditor, payment: Payment) -> None:
        """All that was told of a payment, once more in one delivery, the newest first."""
        told = [event for event in self._ledger.history(payment.id) if event.callback_id]
        bodies = [callback_event(event, payment.metadata) for event in reversed(told)]
        self._tell(Callback(new_id("WB"), creditor.id, body=""), bodies)

    def _release_last_first(self, payment: Payment) -> None:
        """The payment is decided: what was held about it goes now, each after the one that tells of later."""
        later: str | None = None
        for callback in reversed(self._ledger.held_about(payment.id)):
            self._ledger.release(callback.id, after_id=later)
            later = callback.id
        self._ring()

    # Mandates

    def note_mandate(self, creditor: Creditor, mandate: Mandate, *actions: str, told: bool) -> None:
        """What happened to a new mandate; `told` in a delivery for each."""
        scheme = rules.SCHEMES[mandate.currency]
        for action in actions:
            callback = Callback(new_id("WB"), creditor.id, body="")
            details = rules.mandate_step(action, scheme)
            event = self._event(creditor, action, details, mandate=mandate, callback_id=callback.id if told else None)
            if told:
                self._tell(callback, [callback_event(event, mandate.metadata)])
            self._ledger.add_event(event)

    def cancel_mandate(self, creditor: Creditor, mandate: Mandate) -> None:
        """The mandate ends, and with it its payments that are under way; one delivery tells of all."""
        scheme = rules.SCHEMES[mandate.currency]
        callback = Callback(new_id("WB"), creditor.id, body="")
        details = rules.mandate_step("cancelled", scheme)
        ended = self._event(creditor, "cancelled", details, mandate=mandate, callback_id=callback.id)
        events, bodies = [ended], [callback_event(ended, mandate.metadata)]
        under_way = [
            payment
            for payment in self._ledger.payments_under(mandate.id)
            if payment.status in rules.MOVES["cancel"].allowed_from
        ]
        for payment in under_way:
            event = self._event(
                creditor, "cancelled", details, payment=payment, callback_id=callback.id, parent_id=ended.id
            )
            events.append(event)
            bodies.append(callback_event(event, payment.metadata))
        self._tell(callback, bodies)
        for event in events:
            self._ledger.add_event(event)
        for payment in under_way:
            self._ledger.forget_plans(payment.id)
            if SCENARIOS[payment.scenario].telling == "reversed":
                self._release_last_first(payment)

    # What both have

    def _event(
        self,
        creditor: Creditor,
        action: str,
        details: dict[str, Any],
        *,
        payment: Payment | None = None,
        mandate: Mandate | None = None,
        callback_id: str | None = None,
        parent_id: str | None = None,
    ) -> Event:
        return Event(
            id=new_id("EV"),
            creditor_id=creditor.id,
            payment_id=payment.id if payment else None,
            mandate_id=mandate.id if mandate else None,
            created_at=self._ledger.stamp(creditor),
            action=action,
            details=details,
            callback_id=callback_id,
            parent_id=parent_id,
        )

    def _tell(self, callback: Callback, events: list[dict[str, Any]]) -> None:
        body = json.dumps({"events": events, "meta": {"webhook_id": callback.id}})
        self._ledger.add_callback(replace(callback, body=body))
        self._ring()
