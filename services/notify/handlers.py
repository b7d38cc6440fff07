"""What notify does when it hears something.

A message is about the ids of its fact, so that a doubled event tells nothing twice.
"""

from collections.abc import Sequence

from services.notify import actions
from services.notify.actions import News, Sender
from services.notify.rules import letters
from services.notify.rules.letters import Fields
from services.notify.tables import Client
from shared.copies import keep
from shared.database import Db
from shared.events.billing import CollectionFailed, InstalmentOverdue, InvoiceIssued
from shared.events.booking import BookingCancelled, BookingConfirmed
from shared.events.catalog import ClientChanged
from shared.events.packages import PackageSold
from shared.handlers import Handlers, Heard

handles = Handlers()


@handles(ClientChanged)
async def keep_client(db: Db, event: ClientChanged) -> None:
    await keep(db, Client, event)
    if event.erased:
        await actions.forget_client(db, event.client_id)


@handles(PackageSold)
async def confirm_purchase(db: Db, event: PackageSold) -> None:
    def fields(client: Client, by: Sender) -> Fields:
        return letters.purchase_confirmed(event, client=client.name, business=by.name)

    await actions.tell(db, "purchase_confirmed", News(event.package_id, event.client_id, fields))


@handles(BookingConfirmed)
async def confirm_booking(db: Db, event: BookingConfirmed) -> None:
    def fields(client: Client, by: Sender) -> Fields:
        return letters.booking_confirmed(event, client=client.name, business=by.name, zone=by.zone)

    confirmed = News(event.booking_id, event.client_id, fields)
    await actions.tell(db, "booking_confirmed", confirmed, unless="booking_cancelled")


@handles(BookingCancelled)
async def report_cancellation(db: Db, event: BookingCancelled) -> None:
    def fields(client: Client, by: Sender) -> Fields:
        return letters.booking_cancelled(event, client=client.name, business=by.name)

    await actions.tell(db, "booking_cancelled", News(event.booking_id, event.client_id, fields))


@handles.lists(InvoiceIssued)
async def send_invoices(db: Db, heard: Sequence[Heard[InvoiceIssued]]) -> None:
    """On a due day hundreds of packages are billed at once."""

    def news(event: InvoiceIssued) -> News:
        def fields(payer: Client, by: Sender) -> Fields:
            return letters.invoice_issued(event, payer=payer.name, business=by.name)

        return News(event.invoice_id, event.payer_id, fields)

    await actions.tell(db, "invoice_issued", *(news(each.event) for each in heard))


@handles.lists(InstalmentOverdue)
async def remind_payers(db: Db, heard: Sequence[Heard[InstalmentOverdue]]) -> None:
    """A day's run reminds of all that is overdue."""

    def news(event: InstalmentOverdue) -> News:
        def fields(payer: Client, by: Sender) -> Fields:
            return letters.instalment_overdue(event, payer=payer.name, business=by.name)

        return News(event.instalment_id, event.payer_id, fields)

    await actions.tell(db, "instalment_overdue", *(news(each.event) for each in heard))


@handles(CollectionFailed)
async def report_failure(db: Db, event: CollectionFailed) -> None:
    """A debit that fails twice for one instalment is told once; another debit for it is news again."""
    about = f"{event.debit_id}:{event.instalment_id}"

    def to_payer(payer: Client, by: Sender) -> Fields:
        return letters.collection_failed(event, payer=payer.name, business=by.name)

    def to_staff(payer: Client, by: Sender) -> Fields:
        return letters.collection_failed_for_staff(event, payer=payer.name, business=by.name)

    if letters.concerns_payer(event):
        await actions.tell(db, "collection_failed", News(about, event.payer_id, to_payer))
    await actions.tell_staff(db, "collection_failed_for_staff", News(about, event.payer_id, to_staff))
