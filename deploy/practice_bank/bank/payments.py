"""What is debited, and what becomes of it."""

from dataclasses import replace

from deploy.practice_bank import rules
from deploy.practice_bank.bank.desk import Desk, own
from deploy.practice_bank.days import rolled_forward
from deploy.practice_bank.errors import Invalid, MandateInactive, NotFound, Outage
from deploy.practice_bank.ids import new_id
from deploy.practice_bank.rows import Callback, Creditor, Mandate, Payment, Planned
from deploy.practice_bank.scenarios import SCENARIOS, planned_days
from deploy.practice_bank.shapes import Because, NewPayment, WantedPayments


class Payments(Desk):
    """The verbs about payments and the callbacks about them."""

    def accept_payment(self, creditor: Creditor, new: NewPayment, key: str | None) -> Payment:
        """A payment is accepted and sent on; what becomes of it is the scenario that its mandate is in.

        A charge date on which the banks rest becomes the next bank day. The answer is the payment as it was accepted;
        callbacks and look-ups tell what became of it.
        """
        self._refuse_in_an_outage(creditor, new)
        with self._ledger.transaction():
            self._refuse_repeat("payment", creditor, key)
            mandate = self._payable(creditor, new)
            if new.charge_date < creditor.first_charge_date:
                raise Invalid.field("/payments/charge_date", f"must be on or after {creditor.first_charge_date}")
            charge_date = rolled_forward(new.charge_date, new.currency)
            payment = Payment(
                id=new_id("PM"),
                creditor_id=creditor.id,
                idempotency_key=key,
                mandate_id=mandate.id,
                created_at=self._ledger.stamp(creditor),
                amount=new.amount,
                currency=new.currency,
                charge_date=charge_date.isoformat(),
                metadata=new.metadata,
                scenario=mandate.in_force,
                last_action="created",
            )
            self._ledger.add_payment(payment)
            self._ledger.use_up(mandate.id)
            self._teller.note_payment(creditor, payment)
            self._teller.step(creditor, payment.id, "submit", Because())
            if at_once := SCENARIOS[payment.scenario].at_once:
                self._teller.step(creditor, payment.id, at_once, Because(cause=mandate.cause))
            for day, step in planned_days(payment.scenario, charge_date, payment.currency):
                cause = step.cause and (mandate.cause or step.cause)
                self._ledger.plan(creditor.id, Planned(payment.id, day.isoformat(), step.move, cause))
        return payment

    def decide(self, payment_id: str, move: str, because: Because) -> Payment:
        """Take a payment one legal step further by hand, and tell its creditor."""
        with self._ledger.transaction():
            creditor = self._ledger.creditor(self._ledger.payment(payment_id).creditor_id)
            self._teller.step(creditor, payment_id, move, because)
        return self._ledger.payment(payment_id)

    def payment_of(self, creditor: Creditor, payment_id: str) -> Payment:
        """A payment, to its own creditor."""
        return own(creditor, self._ledger.payment(payment_id))

    def payments_of(self, creditor: Creditor, wanted: WantedPayments) -> tuple[list[Payment], str | None]:
        """A page of a creditor's payments, and the cursor after which the next one begins, if there is one."""
        if wanted.after is not None:
            self.payment_of(creditor, wanted.after)
        found = self._ledger.payments_of(
            creditor.id, wanted.mandate, wanted.created_since, wanted.after, limit=wanted.limit + 1
        )
        page = found[: wanted.limit]
        return page, page[-1].id if len(found) > len(page) else None

    def resend(self, callback_id: str) -> Callback:
        """Deliver the same bytes once more, and from here with all its tries, whatever came of it before."""
        with self._ledger.transaction():
            callback = self._ledger.callback(callback_id)
            self._ledger.set_callback(replace(callback, state="unsent", tries=0), next_try_at=0)
        self._ring()
        return self._ledger.callback(callback_id)

    def _refuse_in_an_outage(self, creditor: Creditor, new: NewPayment) -> None:
        """While an outage lasts, each request is counted and not read any further."""
        with self._ledger.transaction():
            try:
                mandate = own(creditor, self._ledger.mandate(new.links.mandate))
            except NotFound:
                return
            if mandate.in_force != "outage":
                return
            self._ledger.use_up(mandate.id)
        raise Outage

    def _payable(self, creditor: Creditor, new: NewPayment) -> Mandate:
        """The mandate that allows this payment."""
        try:
            mandate = own(creditor, self._ledger.mandate(new.links.mandate))
        except NotFound:
            raise Invalid.field("/payments/links/mandate", "could not be found") from None
        if mandate.status not in rules.PAYABLE:
            raise MandateInactive(mandate.status)
        if new.currency != mandate.currency:
            raise Invalid.field("/payments/currency", f"must be the mandate's, {mandate.currency}")
        return mandate
