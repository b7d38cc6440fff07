"""The bank's verbs: what a creditor asks for, and what becomes of it."""

import json
from collections.abc import Callable
from hashlib import sha256
from secrets import token_hex, token_urlsafe
from typing import TypeVar

from deploy.practice_bank import rules
from deploy.practice_bank.errors import AlreadyCreated, Invalid, NotAuthenticated, NotFound
from deploy.practice_bank.ledger import Ledger
from deploy.practice_bank.rows import Callback, Creditor, Event, Mandate, Payment
from deploy.practice_bank.shapes import Because, Behaviour, NewCreditor, NewMandate, NewPayment, WantedPayments
from deploy.practice_bank.views import callback_event

Owned = TypeVar("Owned", Mandate, Payment)


def _new_id(kind: str) -> str:
    return kind + token_hex(7).upper()


def _hashed(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def _own(creditor: Creditor, thing: Owned) -> Owned:
    """Another creditor's thing is no different from one that is not there."""
    if thing.creditor_id != creditor.id:
        raise NotFound
    return thing


class Bank:
    """Every verb is one transaction; `ring` is called whenever there is a callback to send."""

    def __init__(self, ledger: Ledger, ring: Callable[[], None]) -> None:
        self._ledger = ledger
        self._ring = ring

    def open_creditor(self, new: NewCreditor) -> tuple[Creditor, str]:
        """A new creditor and its access token, which is told this once and kept only as a hash."""
        token = token_urlsafe(32)
        creditor = Creditor(_new_id("CR"), new.name, str(new.callback_url), new.callback_secret.get_secret_value())
        with self._ledger.transaction():
            self._ledger.add_creditor(creditor, _hashed(token))
        return creditor, token

    def creditor(self, token: str) -> Creditor:
        """Who is asking."""
        try:
            return self._ledger.creditor_by_token(_hashed(token))
        except NotFound:
            raise NotAuthenticated from None

    def accept_mandate(self, creditor: Creditor, new: NewMandate, key: str | None) -> Mandate:
        """A mandate is active at once; of the account number only the last two digits are kept."""
        with self._ledger.transaction():
            self._refuse_repeat(creditor, key)
            mandate = Mandate(
                id=_new_id("MD"),
                creditor_id=creditor.id,
                idempotency_key=key,
                created_at=self._ledger.now(),
                account_holder_name=new.account_holder_name,
                account_number_ending=new.account_number.get_secret_value()[-2:],
                currency=new.currency,
                metadata=new.metadata,
                behaviour="manual",
                cause=None,
            )
            self._ledger.add_mandate(mandate)
        return mandate

    def accept_payment(self, creditor: Creditor, new: NewPayment, key: str | None) -> Payment:
        """A payment is accepted and sent on; where its mandate has a behaviour, it is decided too.

        The answer is the payment as it was accepted; callbacks and look-ups tell what became of it.
        """
        with self._ledger.transaction():
            self._refuse_repeat(creditor, key)
            mandate = self._payable(creditor, new)
            payment = Payment(
                id=_new_id("PM"),
                creditor_id=creditor.id,
                idempotency_key=key,
                mandate_id=mandate.id,
                created_at=self._ledger.now(),
                amount=new.amount,
                currency=new.currency,
                charge_date=new.charge_date.isoformat(),
                metadata=new.metadata,
                last_action="created",
            )
            self._ledger.add_payment(payment)
            self._ledger.add_event(
                Event(_new_id("EV"), payment.id, self._ledger.now(), "created", rules.CREATED, callback_id=None)
            )
            self._step(payment.id, "submit", Because())
            if mandate.behaviour != "manual":
                self._step(payment.id, mandate.behaviour, Because(cause=mandate.cause))
        return payment

    def decide(self, payment_id: str, move: str, because: Because) -> Payment:
        """Take a payment one legal step further, and tell its creditor."""
        with self._ledger.transaction():
            self._step(payment_id, move, because)
        return self._ledger.payment(payment_id)

    def behave(self, mandate_id: str, behaviour: Behaviour) -> Mandate:
        """From now on new payments of this mandate are decided like this."""
        with self._ledger.transaction():
            self._ledger.set_behaviour(mandate_id, behaviour.payments, behaviour.cause)
        return self._ledger.mandate(mandate_id)

    def resend(self, callback_id: str) -> Callback:
        """Deliver the same bytes once more, and from here with all its tries, whatever came of it before."""
        with self._ledger.transaction():
            self._ledger.set_callback_state(callback_id, "unsent", tries=0, next_try_at=0)
        self._ring()
        return self._ledger.callback(callback_id)

    def payment_of(self, creditor: Creditor, payment_id: str) -> Payment:
        """A payment, to its own creditor."""
        return _own(creditor, self._ledger.payment(payment_id))

    def payments_of(self, creditor: Creditor, wanted: WantedPayments) -> tuple[list[Payment], str | None]:
        """A page of a creditor's payments, and the cursor after which the next one begins, if there is one."""
        if wanted.after is not None:
            self.payment_of(creditor, wanted.after)
        found = self._ledger.payments_of(
            creditor.id, wanted.mandate, wanted.created_since, wanted.after, limit=wanted.limit + 1
        )
        page = found[: wanted.limit]
        return page, page[-1].id if len(found) > len(page) else None

    def _refuse_repeat(self, creditor: Creditor, key: str | None) -> None:
        """A key makes one thing once; used again, it names that thing."""
        made = self._ledger.made_with(creditor.id, key) if key is not None else None
        if made is not None:
            raise AlreadyCreated(made)

    def _payable(self, creditor: Creditor, new: NewPayment) -> Mandate:
        """The mandate that allows this payment."""
        try:
            mandate = _own(creditor, self._ledger.mandate(new.links.mandate))
        except NotFound:
            raise Invalid.field("/payments/links/mandate", "could not be found") from None
        if new.currency != mandate.currency:
            raise Invalid.field("/payments/currency", f"must be the mandate's, {mandate.currency}")
        return mandate

    def _step(self, payment_id: str, move: str, because: Because) -> None:
        payment = self._ledger.payment(payment_id)
        scheme = rules.SCHEMES[payment.currency]
        action, details = rules.step(payment.status, scheme, move, **because.model_dump())
        callback_id = _new_id("WB")
        event = Event(_new_id("EV"), payment.id, self._ledger.now(), action, details, callback_id)
        body = json.dumps({"events": [callback_event(event, payment)], "meta": {"webhook_id": callback_id}})
        self._ledger.add_callback(Callback(callback_id, payment.creditor_id, body, "unsent", tries=0))
        self._ledger.add_event(event)
        self._ring()
