-- The bank's books. Times are UTC in ISO 8601, except `creditor.now`, which is in the creditor's zone, and
-- `next_try_at`, which is machine time in seconds. Dates are dates in the creditor's zone.

create table if not exists creditor (
    id              text primary key,
    name            text not null,
    token_sha256    text not null unique,
    callback_url    text not null,
    callback_secret text not null,
    reference       text,
    now             text,
    last_at         text not null default '0001-01-01T00:00:00.000000Z'
) strict;
create index if not exists creditor_by_reference on creditor (reference);

create table if not exists customer (
    id              text primary key,
    creditor_id     text not null references creditor,
    idempotency_key text,
    created_at      text not null,
    given_name      text,
    family_name     text,
    company_name    text,
    email           text,
    metadata        text not null,
    unique (creditor_id, idempotency_key)
) strict;

create table if not exists bank_account (
    id                    text primary key,
    creditor_id           text not null references creditor,
    customer_id           text not null references customer,
    idempotency_key       text,
    created_at            text not null,
    account_holder_name   text not null,
    account_number_ending text not null check (length(account_number_ending) = 2),
    currency              text not null,
    country_code          text not null,
    metadata              text not null,
    unique (creditor_id, idempotency_key)
) strict;

create table if not exists mandate (
    id                    text primary key,
    creditor_id           text not null references creditor,
    account_id            text references bank_account,
    idempotency_key       text,
    created_at            text not null,
    account_holder_name   text not null,
    account_number_ending text not null check (length(account_number_ending) = 2),
    currency              text not null,
    metadata              text not null,
    behaviour             text not null,
    cause                 text,
    left                  integer check (left >= 0),
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
    scenario        text not null,
    unique (creditor_id, idempotency_key)
) strict;
create index if not exists payment_of_creditor on payment (creditor_id);
create index if not exists payment_of_mandate on payment (mandate_id);

-- What a payment will do by itself; a row is gone once its day has been.
create table if not exists planned (
    seq         integer primary key,
    creditor_id text not null references creditor,
    payment_id  text not null references payment,
    day         text not null,
    move        text not null,
    cause       text
) strict;
create index if not exists planned_by_day on planned (creditor_id, day);
create index if not exists planned_of_payment on planned (payment_id);

create table if not exists callback (
    id           text primary key,
    creditor_id  text not null references creditor,
    body         text not null,
    state        text not null check (state in ('unsent', 'held', 'delivered', 'given_up')),
    tries        integer not null,
    payment_id   text references payment,
    release_date text,
    after_id     text references callback,
    copies       integer not null,
    misleading   integer not null,
    next_try_at  real not null
) strict;
create index if not exists callback_to_send on callback (state, next_try_at);
create index if not exists callback_of_creditor on callback (creditor_id, state, release_date);
create index if not exists callback_held on callback (payment_id) where state = 'held';

create table if not exists event (
    seq         integer primary key,
    id          text not null unique,
    creditor_id text not null references creditor,
    payment_id  text references payment,
    mandate_id  text references mandate,
    created_at  text not null,
    action      text not null,
    details     text not null,
    callback_id text references callback,
    parent_id   text references event (id),
    unique (creditor_id, created_at),
    check ((payment_id is null) <> (mandate_id is null))
) strict;
create index if not exists event_of_payment on event (payment_id, seq);
create index if not exists event_of_mandate on event (mandate_id, seq);

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
