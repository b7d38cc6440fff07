"""What a set-based statement needs to write rows and facts by itself: new ids, and the envelope of a fact."""

from alembic import op

revision = "plumbing_0002"
down_revision = "plumbing_0001"


def upgrade() -> None:
    # As shared/ids.py: UUID version 7 (RFC 9562), with the microseconds in the bits that may hold a fraction.
    op.execute(
        "create function new_id() returns uuid language plpgsql volatile as $$"
        " declare micros bigint := (extract(epoch from clock_timestamp()) * 1000000)::bigint;"
        " begin return encode(overlay(uuid_send(gen_random_uuid()) placing"
        "  int8send((micros / 1000 << 16) | 28672 | (micros % 1000 * 4096 / 1000)) from 1 for 8), 'hex')::uuid; end $$"
    )
    # As shared/events.encode: `alike` are the members that all facts of a transaction share.
    op.execute(
        "create function envelope(alike text, id uuid, type text, subject uuid, business_date date, data json)"
        " returns text language sql immutable parallel safe as $$"
        ' select \'{\' || alike || \',"id":"\' || id || \'","type":"\' || type || \'","subject":"\' || subject'
        '  || \'","businessdate":"\' || business_date || \'","data":\' || data || \'}\' $$'
    )
