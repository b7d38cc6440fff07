"""What notify does when it hears something.

The key of a message is made of the ids of the fact, so that a doubled event tells nothing twice.
"""

from services.notify import actions, rules
from services.notify.tables import Client
from shared.copies import keep
from shared.database import Db
from shared.events.billing import CollectionFailed, InvoiceIssued
from shared.events.booking import BookingCancelled, BookingConfirmed
from shared.events.catalog import ClientChanged
from shared.events.packages import PackageSold
from shared.inbox import Handlers

handles = Handlers()


@handles(ClientChanged)
async def keep_client(db: Db, event: ClientChanged) -> None:
    await keep(db, Client, event)


@handles(PackageSold)
async def confirm_purchase(db: Db, event: PackageSold) -> None:
    await actions.tell(
        db,
        f"purchase_confirmed:{event.package_id}",
        event.client_id,
        lambda client, by: rules.purchase_confirmed(event, name=client.name, business=by.name),
    )


@handles(BookingConfirmed)
async def confirm_booking(db: Db, event: BookingConfirmed) -> None:
    await actions.tell(
        db,
        f"booking_confirmed:{event.booking_id}",
        event.client_id,
        lambda client, by: rules.booking_confirmed(event, name=client.name, business=by.name, zone=by.zone),
        unless=f"booking_cancelled:{event.booking_id}",
    )


@handles(BookingCancelled)
async def report_cancellation(db: Db, event: BookingCancelled) -> None:
    await actions.tell(
        db,
        f"booking_cancelled:{event.booking_id}",
        event.client_id,
        lambda client, by: rules.booking_cancelled(event, name=client.name, business=by.name),
    )


@handles(InvoiceIssued)
async def send_invoice(db: Db, event: InvoiceIssued) -> None:
    await actions.tell(
        db,
        f"invoice_issued:{event.invoice_id}",
        event.payer_id,
        lambda payer, by: rules.invoice_issued(event, name=payer.name, business=by.name),
    )


@handles(CollectionFailed)
async def report_failure(db: Db, event: CollectionFailed) -> None:
    key = f"collection_failed:{event.debit_id}:{event.instalment_id}"
    await actions.tell(
        db,
        key,
        event.payer_id,
        lambda payer, by: rules.collection_failed(event, name=payer.name, business=by.name),
    )
    await actions.tell_staff(
        db,
        key,
        event.payer_id,
        lambda payer, by: rules.collection_failed_for_staff(event, payer=payer.name, business=by.name),
    )
