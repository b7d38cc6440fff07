-- The bank's books. Times are UTC in ISO 8601, except `next_try_at`, which is machine time in seconds.

pragma journal_mode = wal;
pragma synchronous = normal;
pragma foreign_keys = on;

create table if not exists creditor (
    id              text primary key,
    name            text not null,
    token_sha256    text not null unique,
    callback_url    text not null,
    callback_secret text not null
) strict;

create table if not exists mandate (
    id                    text primary key,
    creditor_id           text not null references creditor,
    idempotency_key       text,
    created_at            text not null,
    account_holder_name   text not null,
    account_number_ending text not null check (length(account_number_ending) = 2),
    currency              text not null,
    metadata              text not null,
    behaviour             text not null check (behaviour in ('manual', 'settle', 'decline')),
    cause                 text,
    unique (creditor_id, idempotency_key)
) strict;

create table if not exists payment (
    id              text primary key,
    creditor_id     text not null references creditor,
    idempotency_key text,
    mandate_id      text not null references mandate,
    created_at      text not null,
    amount          integer not null check (amount > 0),
    currency        text not null,
    charge_date     text not null,
    metadata        text not null,
    unique (creditor_id, idempotency_key)
) strict;

create index if not exists payment_of_creditor on payment (creditor_id);

create table if not exists callback (
    id          text primary key,
    creditor_id text not null references creditor,
    body        text not null,
    state       text not null check (state in ('unsent', 'delivered', 'given_up')),
    tries       integer not null,
    next_try_at real not null
) strict;
create index if not exists callback_to_send on callback (state, next_try_at);

create table if not exists event (
    seq         integer primary key,
    id          text not null unique,
    payment_id  text not null references payment,
    created_at  text not null unique,
    action      text not null,
    details     text not null,
    callback_id text references callback
) strict;
create index if not exists event_of_payment on event (payment_id, seq);

create table if not exists answer (
    seq         integer primary key,
    callback_id text not null references callback,
    at          text not null,
    outcome     text not null
) strict;
create index if not exists answer_of_callback on answer (callback_id, seq);

-- What was debited, and what was told about it, is final.
create trigger if not exists payment_stays before update on payment begin select raise(abort, 'a payment is final'); end;
create trigger if not exists payment_kept before delete on payment begin select raise(abort, 'a payment is final'); end;
create trigger if not exists event_stays before update on event begin select raise(abort, 'an event is final'); end;
create trigger if not exists event_kept before delete on event begin select raise(abort, 'an event is final'); end;
create trigger if not exists answer_stays before update on answer begin select raise(abort, 'an answer is final'); end;
create trigger if not exists answer_kept before delete on answer begin select raise(abort, 'an answer is final'); end;
