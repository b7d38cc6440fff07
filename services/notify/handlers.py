"""What notify does when it hears something.

A message is about the ids of its fact, so that a doubled event tells nothing twice.
"""

from services.notify import actions
from services.notify.rules import letters
from services.notify.tables import Client
from shared.copies import keep
from shared.database import Db
from shared.events.billing import CollectionFailed, InstalmentOverdue, InvoiceIssued
from shared.events.booking import BookingCancelled, BookingConfirmed
from shared.events.catalog import ClientChanged
from shared.events.packages import PackageSold
from shared.handlers import Handlers

handles = Handlers()


@handles(ClientChanged)
async def keep_client(db: Db, event: ClientChanged) -> None:
    await keep(db, Client, event)
    if event.erased:
        await actions.forget_client(db, event.client_id)


@handles(PackageSold)
async def confirm_purchase(db: Db, event: PackageSold) -> None:
    await actions.tell(
        db,
        "purchase_confirmed",
        event.package_id,
        event.client_id,
        lambda client, by: letters.purchase_confirmed(event, client=client.name, business=by.name),
    )


@handles(BookingConfirmed)
async def confirm_booking(db: Db, event: BookingConfirmed) -> None:
    await actions.tell(
        db,
        "booking_confirmed",
        event.booking_id,
        event.client_id,
        lambda client, by: letters.booking_confirmed(event, client=client.name, business=by.name, zone=by.zone),
        unless="booking_cancelled",
    )


@handles(BookingCancelled)
async def report_cancellation(db: Db, event: BookingCancelled) -> None:
    await actions.tell(
        db,
        "booking_cancelled",
        event.booking_id,
        event.client_id,
        lambda client, by: letters.booking_cancelled(event, client=client.name, business=by.name),
    )


@handles(InvoiceIssued)
async def send_invoice(db: Db, event: InvoiceIssued) -> None:
    await actions.tell(
        db,
        "invoice_issued",
        event.invoice_id,
        event.payer_id,
        lambda payer, by: letters.invoice_issued(event, payer=payer.name, business=by.name),
    )


@handles(InstalmentOverdue)
async def remind_payer(db: Db, event: InstalmentOverdue) -> None:
    await actions.tell(
        db,
        "instalment_overdue",
        event.instalment_id,
        event.payer_id,
        lambda payer, by: letters.instalment_overdue(event, payer=payer.name, business=by.name),
    )


@handles(CollectionFailed)
async def report_failure(db: Db, event: CollectionFailed) -> None:
    """A debit that fails twice for one instalment is told once; another debit for it is news again."""
    about = f"{event.debit_id}:{event.instalment_id}"
    if letters.concerns_payer(event):
        await actions.tell(
            db,
            "collection_failed",
            about,
            event.payer_id,
            lambda payer, by: letters.collection_failed(event, payer=payer.name, business=by.name),
        )
    await actions.tell_staff(
        db,
        "collection_failed_for_staff",
        about,
        event.payer_id,
        lambda payer, by: letters.collection_failed_for_staff(event, payer=payer.name, business=by.name),
    )
