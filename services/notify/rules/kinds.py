"""The kinds of message, what each is for, its fields, and the text that goes out unless a business has its own.

A field once named here stays: texts that businesses have put use it.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from services.notify.rules.templates import Field, Template
from shared.errors import NotFound

KindName = Literal[
    "purchase_confirmed",
    "booking_confirmed",
    "booking_cancelled",
    "invoice_issued",
    "collection_failed",
    "collection_failed_for_staff",
    "instalment_overdue",
]
FOR_STAFF = "_for_staff"


class NoSuchKind(NotFound):
    """There is no such kind of message."""


@dataclass(frozen=True)
class Kind:
    """A kind of message: `purpose` says who gets it and when."""

    purpose: str
    fields: tuple[Field, ...]
    default: Template


CLIENT = Field("client", "the name of the client who is written to")
PAYER = Field("payer", "the name of the payer who is written to")
BUSINESS = Field("business", "the name of the business")
INVOICE = Field("invoice_number", "the number of the invoice")
AMOUNT = Field("amount", "the amount with its currency, such as AUD 1,100.00")

KINDS: dict[KindName, Kind] = {
    "purchase_confirmed": Kind(
        "To a client who has bought a package.",
        (
            CLIENT,
            BUSINESS,
            Field("package", "the name of the package"),
            Field("sessions_sentence", "how many sessions it holds, as a sentence", may_be_empty=True),
            Field("price_sentence", "what it costs, as a sentence", may_be_empty=True),
            Field("start_date", "the date from which it can be used, with its weekday"),
        ),
        Template(
            "Your package: $package",
            "Hello $client,\n\n"
            "Thank you for your purchase: $package.\n\n"
            "$sessions_sentence $price_sentence\n\n"
            "You can use it from $start_date on.\n\n"
            "$business",
        ),
    ),
    "booking_confirmed": Kind(
        "To a client whose booking has a place.",
        (CLIENT, BUSINESS, Field("starts_at", "the date and time of the session, by the clock of the business")),
        Template("Booked: $starts_at", "Hello $client,\n\nYour session is booked for $starts_at.\n\n$business"),
    ),
    "booking_cancelled": Kind(
        "To a client whose booking is cancelled.",
        (
            CLIENT,
            BUSINESS,
            Field("session_date", "the date of the session, with its weekday"),
            Field("session_sentence", "what became of the session, as a sentence"),
            Field("reason_sentence", "the reason that was given, as a sentence", may_be_empty=True),
        ),
        Template(
            "Cancelled: $session_date",
            "Hello $client,\n\n"
            "Your booking on $session_date is cancelled. $session_sentence\n\n"
            "$reason_sentence\n\n"
            "$business",
        ),
    ),
    "invoice_issued": Kind(
        "To the payer of a new invoice.",
        (
            PAYER,
            BUSINESS,
            INVOICE,
            Field("total", "the total with its currency, such as AUD 1,100.00"),
            Field("lines", "the lines of the invoice, each with its amount, one below the other"),
            Field("due_dates", "each due date with the amount due, one below the other"),
        ),
        Template(
            "Invoice $invoice_number: $total",
            "Hello $payer,\n\nThis is invoice $invoice_number for $total.\n\n$lines\n\nDue:\n$due_dates\n\n$business",
        ),
    ),
    "collection_failed": Kind(
        "To a payer whose debit brought nothing, or whose bank took the payment back.",
        (
            PAYER,
            BUSINESS,
            INVOICE,
            AMOUNT,
            Field("outcome", "declined; or returned, where the bank took the payment back"),
            Field("failure_sentence", "what happened, as a sentence; never the bank's reason"),
            Field("next_sentence", "on which day it is tried again, or what to do, as a sentence"),
        ),
        Template(
            "Invoice $invoice_number: payment $outcome",
            "Hello $payer,\n\n$failure_sentence $next_sentence\n\n$business",
        ),
    ),
    "collection_failed_for_staff": Kind(
        "To the business, when a debit brought nothing, or its money was taken back.",
        (
            Field("payer", "the name of the payer"),
            BUSINESS,
            INVOICE,
            AMOUNT,
            Field("attempt", "which attempt for this instalment it was, as a number"),
            Field("outcome", "declined, returned, or claimed where the payer had the bank take it back"),
            Field("failure_sentence", "what happened, as a sentence"),
            Field("reason_sentence", "whether the reason may pass by itself, as a sentence", may_be_empty=True),
            Field("next_sentence", "on which day it is tried again, or what to do, as a sentence"),
        ),
        Template(
            "Debit $outcome: $payer, invoice $invoice_number",
            "Hello $business,\n\n$failure_sentence $reason_sentence $next_sentence\n\n$business",
        ),
    ),
    "instalment_overdue": Kind(
        "To a payer, once for each instalment that is overdue.",
        (PAYER, BUSINESS, INVOICE, AMOUNT, Field("due_date", "the date on which it was due, with its weekday")),
        Template(
            "Invoice $invoice_number: $amount is overdue",
            "Hello $payer,\n\n"
            "$amount of invoice $invoice_number was due on $due_date, and we have not received it.\n\n"
            "Please pay it, or ask us for another way to pay."
            " If you have paid in the meantime, you need not do anything.\n\n"
            "$business",
        ),
    ),
}


def kind_named(name: str) -> KindName:
    """The kind of message that a door was asked for. Raises NoSuchKind, which names the kinds there are."""
    for known in KINDS:
        if known == name:
            return known
    raise NoSuchKind(f"Ask for one of {', '.join(get_args(KindName))}.")


def fact_of(kind: KindName) -> str:
    """The fact that a kind tells, with which the key of its messages begins: one fact is told to payer and staff."""
    return kind.removesuffix(FOR_STAFF)
