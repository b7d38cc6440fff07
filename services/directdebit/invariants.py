"""Rows that must not exist in directdebit's database. Each query returns the offenders of one business."""

INVARIANTS = {
    "an instalment has two live items": (
        "select instalment_id from debit_items where live group by instalment_id having count(*) > 1"
    ),
    "an instalment was collected twice": (
        "select i.instalment_id from debit_items i join debits d using (debit_id) where d.state = 'settled'"
        " group by i.instalment_id having count(*) > 1"
    ),
    "an item is live and its debit is not, or the other way round": (
        "select i.debit_id from debit_items i join debits d using (debit_id)"
        " where i.live <> (d.state in ('created', 'submitting', 'unknown', 'submitted', 'settled'))"
    ),
    "the items of a debit are not its amount": (
        "select d.debit_id from debits d left join debit_items i using (debit_id)"
        " group by d.debit_id having coalesce(sum(i.amount_minor), 0) <> d.amount_minor"
    ),
    "a debit took more than was asked for": (
        "select i.debit_id from debit_items i join collections c using (instalment_id)"
        " where i.version = c.version and i.amount_minor > c.target_minor"
    ),
    "what is on its way, or collected, is to be sent once more": (
        "select instalment_id from collections join debit_items using (instalment_id)"
        " where live and next_date is not null"
    ),
    "nobody sends a debit that waits to be sent": (
        "select debit_id from debits where state in ('created', 'submitting', 'unknown')"
        " and not exists (select from runs where runs.run_id = debits.run_id and runs.state = 'listed')"
        " and not exists (select from work where kind = 'submit' and subject_id = debit_id)"
    ),
    "it is unknown for a day whether the provider has a debit": (
        "select debit_id from debits where state in ('submitting', 'unknown') and sent_at < now() - interval '1 day'"
    ),
    "a fact of the provider is not folded": (
        "select fact_id from provider_facts where state = 'received' and received_at < now() - interval '10 minutes'"
    ),
    "a payer is debited twice on a day": (
        "select payer_id, charge_date from debits where state not in ('cancelled', 'refused', 'in_review')"
        " group by payer_id, charge_date having count(*) > 1"
    ),
    "nobody registers a mandate that waits for it": (
        "select mandate_id from mandates where state = 'pending'"
        " and not exists (select from work where kind = 'register' and subject_id = mandate_id)"
    ),
    "a payer has two active mandates": (
        "select payer_id from mandates where state = 'active' group by payer_id having count(*) > 1"
    ),
}
