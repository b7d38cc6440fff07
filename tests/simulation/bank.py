"""The practice bank in this process: it calls back when it is told to, in any order, and twice."""

from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
from pydantic import SecretStr

from deploy.practice_bank import create_app
from deploy.practice_bank.bank import Bank
from deploy.practice_bank.courier import signature
from deploy.practice_bank.errors import IllegalMove
from deploy.practice_bank.ledger import Ledger
from deploy.practice_bank.rows import Callback, Payment
from deploy.practice_bank.shapes import Because, Behaviour, NewCreditor, NewSignedMandate

URL = "http://bank.test"
SECRET = "a secret of the simulation"


class Line(httpx.ASGITransport):
    """The way to the bank, on which an answer may break off."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except AssertionError:  # the app returned in the middle of its answer
            raise httpx.RemoteProtocolError("the answer broke off", request=request) from None


class OwnBank:
    """The bank's books and verbs, with no courier and no calendar of their own."""

    def __init__(self, folder: Path) -> None:
        app = create_app(folder)
        self.ledger = app.state.ledger = Ledger(folder)
        self.verbs = app.state.bank = Bank(self.ledger, ring=lambda: None)
        self.line = Line(app)

    def open_account(self, business_id: UUID, now: datetime) -> dict[str, Any]:
        """An account for a business; what it puts to `/directdebit/v1/provider`."""
        address: Any = f"http://directdebit.test/v1/providers/{business_id}/callbacks"
        new = NewCreditor(
            name="Harbour Studio",
            callback_url=address,
            callback_secret=SecretStr(SECRET),
            reference=str(business_id),
            now=now,
        )
        self.creditor, token = self.verbs.open_creditor(new)
        return {"access_token": token, "callback_secrets": [SECRET]}

    def sign(self) -> dict[str, str]:
        """A payer signs; what the business records of it."""
        account: Any = {"account_number": "123456789", "branch_code": "062-000", "currency": "AUD"}
        mandate = self.verbs.accept_signed_mandate(
            self.creditor, NewSignedMandate(account_holder_name="Ana", **account), None
        )
        return {"provider_mandate": mandate.id, "account_ending": mandate.account_number_ending}

    def behave(self, provider_mandate: str, payments: str) -> None:
        self.verbs.behave(provider_mandate, Behaviour(payments=payments))

    def move_clock(self, now: datetime) -> None:
        self.verbs.move_clock(self.creditor.id, now)

    @property
    def payments(self) -> list[Payment]:
        return self.ledger.payments(creditor_id=self.creditor.id)

    def decide(self, payment: Payment, move: str) -> None:
        """A payment goes a step further, where it can."""
        try:
            self.verbs.decide(payment.id, move, Because())
        except IllegalMove:
            return

    @property
    def untold(self) -> list[Callback]:
        """The callbacks that are still to be made."""
        return self.ledger.callbacks("unsent", creditor_id=self.creditor.id)

    @property
    def told(self) -> list[Callback]:
        return self.ledger.callbacks("delivered", creditor_id=self.creditor.id)

    async def call_back(self, callback: Callback, http: httpx.AsyncClient) -> None:
        """Make one callback; it was made when it is answered."""
        body = callback.body.encode()
        headers = {"Content-Type": "application/json", "Webhook-Signature": signature(SECRET, body)}
        path = urlsplit(self.ledger.creditor(callback.creditor_id).callback_url).path
        answer = await http.post(path, content=body, headers=headers)
        if answer.is_success:
            with self.ledger.transaction():
                self.ledger.set_callback(_made(callback), 0)


def _made(callback: Callback) -> Callback:
    return Callback(**vars(callback) | {"state": "delivered"})
