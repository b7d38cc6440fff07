"""The log as a page: what was asked for, what became of it, and who was told."""

from html import escape

from deploy.practice_bank.ledger import Ledger
from deploy.practice_bank.rows import Creditor, Event, Mandate, Payment

NEWEST = 200
NEWEST_CREDITORS = 20

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; color: #1d2733 }
h1 { font-size: 1.4rem } p { color: #5b6875 }
table { border-collapse: collapse; width: 100% }
th, td { padding: .5rem .75rem; text-align: left; vertical-align: top; border-bottom: 1px solid #e3e8ee }
th { color: #5b6875; font-weight: 600 } small { color: #5b6875; display: block }
.amount { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.state { border-radius: 1rem; padding: .1rem .6rem; background: #e8eef5; white-space: nowrap }
.confirmed, .paid_out, .delivered { background: #d9f2e3 } .failed, .charged_back, .given_up { background: #fbe0dd }
"""


def page(ledger: Ledger) -> str:
    """The newest payments, each in a row; a whole HTML document that loads nothing."""
    payments = ledger.payments(NEWEST)
    rows = "".join(_row(ledger, payment) for payment in payments) or "<tr><td colspan=7>No payments yet.</td></tr>"
    unsent, held = (len(ledger.callbacks(state)) for state in ("unsent", "held"))
    dates = "".join(_date(creditor) for creditor in ledger.creditors()[-NEWEST_CREDITORS:])
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Practice bank</title><style>{_STYLE}</style></head>
<body>
<h1>Practice bank</h1>
<p>The newest {NEWEST} payments; {unsent} callbacks unsent, {held} held back.
The whole log: <a href="/practice/log">/practice/log</a></p>
{dates}
<table>
<thead><tr><th>Payment</th><th>Payer</th><th>Debit</th><th class="amount">Amount</th><th>State</th>
<th>Scenario</th><th>History, callbacks and their answers</th></tr></thead>
<tbody>{rows}</tbody>
</table>
</body>
</html>"""


def _row(ledger: Ledger, payment: Payment) -> str:
    mandate = ledger.mandate(payment.mandate_id)
    whole, cents = divmod(payment.amount, 100)
    history = "".join(_step(ledger, event) for event in ledger.history(payment.id))
    return f"""<tr>
<td>{payment.id}<small>charge date {payment.charge_date}</small></td>
<td>{escape(mandate.account_holder_name)}<small>account ending {mandate.account_number_ending}</small></td>
<td>{escape(payment.metadata.get("debit_id", "none"))}</td>
<td class="amount">{whole:,}.{cents:02} {payment.currency}</td>
<td>{_state(payment.status)}</td>
<td>{payment.scenario}<small>{_next(mandate)}</small></td>
<td>{history}</td>
</tr>"""


def _next(mandate: Mandate) -> str:
    """What the mandate's next payment gets."""
    if mandate.status != "active":
        return f"mandate {mandate.status}"
    times = f", the next {mandate.left}" if mandate.left else ""
    return f"the next one: {mandate.in_force}{times}"


def _date(creditor: Creditor) -> str:
    """How late the bank thinks it is for a creditor."""
    clock = "in real time" if creditor.now is None else f"{creditor.now:%H:%M}, on a practice clock"
    today = creditor.today
    return f"<p>{escape(creditor.name)}: {today:%A} {today.day} {today:%B %Y}, {clock}</p>"


def _step(ledger: Ledger, event: Event) -> str:
    told = "" if event.callback_id is None else _told(ledger, event.callback_id)
    code = event.details.get("reason_code")
    why = escape(event.details["cause"] + (f", code {code}" if code else ""))
    return f"<div>{event.action} <small>{event.created_at} · {why}</small>{told}</div>"


def _told(ledger: Ledger, callback_id: str) -> str:
    callback = ledger.callback(callback_id)
    answers = ", ".join(answer.outcome for answer in ledger.answers(callback_id)) or "none yet"
    return f"<small>{callback.id} {_state(callback.state)} answers: {escape(answers)}</small>"


def _state(state: str) -> str:
    return f'<span class="state {state}">{state.replace("_", " ")}</span>'
