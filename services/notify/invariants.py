"""Rows that must not exist in notify's database. Each query returns the offenders of one business."""

INVARIANTS = {
    "a message waits for a day": (
        "select message_id from messages where state = 'queued' and written_at < now() - interval '1 day 1 hour'"
    ),
    "nobody sends a message that waits to be sent": (
        "select message_id from messages where state = 'queued'"
        " and not exists (select from work where kind = 'send' and subject_id = message_id)"
    ),
    "a message was not sent and does not say why": (
        "select message_id from messages where state in ('failed', 'skipped') and reason is null"
    ),
    "a fact was told twice": (
        "select min(message_id::text) from messages group by key, recipient, channel having count(*) > 1"
    ),
}
