"""The page that the demo ends with: who has what, the four flows in numbers, all books side by side."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.local.demo.outcome import AT_THE_BANK, Items, Seen, Tie, in_state, invariants, ties, total
from deploy.local.demo.shapes import Books

KINDS = {
    "purchase_confirmed": "purchases confirmed",
    "booking_confirmed": "bookings confirmed",
    "booking_cancelled": "cancellations",
    "invoice_issued": "invoices",
    "collection_failed": "failed debits",
}
STATES = {"settled": "settled", "submitted": "in flight", "declined": "declined"}


def conclude(console: Console, books: Books, seen: Seen) -> list[str]:
    """Print the page; return what is wrong, if anything: invariants broken, books that do not say the same."""
    first, last = books.days[0], books.days[-1]
    title = f"{books.business.name}, {first.day} {first:%B} to {last.day} {last:%B %Y}, in {books.business.currency}"
    _section(console, title, _packages(console, seen))
    _section(console, "The four flows", *_flows(seen))
    _section(console, "The bank's own log beside directdebit's", _bank(console, seen))
    checked = ties(seen)
    _section(console, "All books side by side", *map(_tie, checked))
    _section(console, "Mails", _mails(seen))
    if surprises := [refusal for refusal in seen.refusals if not refusal.expected]:
        listed = [f"{refusal.place}: {refusal.act}: {refusal.reason}" for refusal in surprises]
        _section(console, "Refused, though the files say otherwise", *listed)
    broken = [f"{name}: {counted(len(rows), 'row')}: {rows[:3]}" for name, rows in seen.violations.items()]
    _section(console, f"{invariants()} invariants checked, {len(broken)} broken", *broken)
    return broken + [f"{tie.what}: {_views(tie)}" for tie in checked if not tie.holds]


def money(amount_minor: int) -> str:
    """`1,234.56`."""
    whole, cents = divmod(amount_minor, 100)
    return f"{whole:,}.{cents:02}"


def counted(number: int, thing: str) -> str:
    """`1 session`, `2 sessions`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _section(console: Console, title: str, *content: Table | Text | str) -> None:
    console.print()
    console.print(Text(title, style="bold"))
    for part in content:
        console.print(part if isinstance(part, Table) else Text("  ") + (Text(part) if isinstance(part, str) else part))


def _table(console: Console, *columns: str, texts: int) -> Table:
    """A table whose first columns are texts, and the rest numbers; of plain characters where no terminal is."""
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else box.ASCII2, show_footer=True, pad_edge=False)
    for number, name in enumerate(columns):
        table.add_column(name, justify="left" if number < texts else "right", no_wrap=number >= texts)
    return table


def _fill(table: Table, amounts: Iterable[int]) -> None:
    """The sums at the foot of the last columns."""
    sums = list(amounts)
    for column, amount in zip(table.columns[-len(sums) :], sums, strict=True):
        column.footer = money(amount)


# Who has what


def _packages(console: Console, seen: Seen) -> Table:
    """A row per package, by client. Invoiced is paid, on its way, owing or not due yet."""
    table = _table(
        console,
        *("client", "package", "bought", "used", "held", "left"),
        *("invoiced", "paid", "in flight", "owing", "not due"),
        texts=2,
    )
    sums = Counter[int]()
    for client_id, name in seen.names.items():
        for number, package in enumerate(p for p in seen.packages if p["client_id"] == client_id):
            amounts = _standing([i for i in seen.invoices if i["package_id"] == package["package_id"]])
            sums.update(dict(enumerate(amounts)))
            table.add_row(
                name if number == 0 else "",
                package["name"] + (", closed" if package["state"] == "closed" else ""),
                *(str(package[count]) for count in ("purchased", "consumed", "held", "available")),
                *(money(amount) if amount else "" for amount in amounts),
            )
    _fill(table, (sums[number] for number in range(5)))
    return table


def _standing(invoices: Sequence[Mapping[str, Any]]) -> tuple[int, int, int, int, int]:
    """Invoiced, paid, in flight, owing, not due yet."""
    parts = [part for invoice in invoices for part in invoice["instalments"]]
    later = total((part for part in parts if part["label"] == "scheduled"), "open_minor")
    invoiced, still_open = total(invoices, "total_minor"), total(invoices, "open_minor")
    in_flight = total(invoices, "in_flight_minor")
    return invoiced, invoiced - still_open, in_flight, still_open - in_flight - later, later


# What happened


def _flows(seen: Seen) -> list[Text]:
    states = Counter(booking["state"] for booking in seen.bookings)
    kinds = Counter(entry["kind"] for entry in seen.history)
    closed = in_state([p for p in seen.packages if p["billing_mode"] == "post_bill"], "closed")
    lines = [(i["number"], line) for i in seen.invoices for line in i["lines"] if line["booking_id"]]
    late, missed = states["late_cancelled"], states["no_show"]
    collected, flying, declined = (in_state(seen.debits, state) for state in STATES)
    told = Counter(m["recipient"] == "business" for m in seen.messages if _kind(m) == "collection_failed")
    return [
        _flow(
            1,
            f"{counted(states['cancelled'] + late, 'booking')} cancelled: {counted(kinds['returned'], 'session')}"
            f" back in the package, {late} too late and used, like {states['attended']} attended and {missed} missed",
        ),
        _flow(
            2,
            f"{counted(len(closed), 'post-bill package')} closed: {counted(len(lines), 'session')} used, a line each on"
            f" {counted(len({number for number, _ in lines}), 'invoice')},"
            f" {money(sum(line['amount_minor'] for _, line in lines))}",
        ),
        _flow(
            3,
            f"{counted(len(seen.payments), 'debit')} sent for what was due: {len(collected)} settled,"
            f" {money(total(collected, 'amount_minor'))} collected; {len(flying)} under way",
        ),
        _flow(
            4,
            f"{len(declined)} declined ({_causes(declined)}): {money(total(declined, 'amount_minor'))} owed again;"
            f" {told[False]} mails to clients, {told[True]} to the desk",
        ),
    ]


def _flow(number: int, says: str) -> Text:
    return Text(f"{number}  ", style="cyan") + Text(says)


def _causes(declined: Items) -> str:
    counts = Counter(str(debit["code"]).replace("_", " ") for debit in declined)
    return ", ".join(f"{number} of {cause}" for cause, number in counts.most_common())


def _bank(console: Console, seen: Seen) -> Table:
    """The two logs, state by state; they share nothing but the payments themselves."""
    table = _table(console, "", "directdebit: debits", "amount", "bank: payments", "amount", "", texts=1)
    table.show_footer = False
    for state, says in STATES.items():
        ours = in_state(seen.debits, state)
        theirs = in_state(seen.payments, *AT_THE_BANK[state], field="status")
        sums = total(ours, "amount_minor"), total(theirs, "amount")
        same = sums[0] == sums[1] and len(ours) == len(theirs)
        table.add_row(says, str(len(ours)), money(sums[0]), str(len(theirs)), money(sums[1]), _mark(same))
    return table


def _mark(good: bool) -> Text:
    return Text("ok", style="green") if good else Text("DIFFERS", style="bold red")


def _tie(tie: Tie) -> Text:
    return _mark(tie.holds) + Text(f"  {tie.what:<27}{_views(tie)}")


def _views(tie: Tie) -> str:
    """`directdebit = bank 1,234.00`; where they differ, what each says."""
    says = {name: money(view) if tie.money else str(view) for name, view in tie.views.items()}
    if tie.holds:
        return f"{next(iter(says.values())):>9}  in {', '.join(says)}"
    return ", ".join(f"{name} {view}" for name, view in says.items())


def _mails(seen: Seen) -> str:
    sent = in_state(seen.messages, "sent")
    kinds = Counter(_kind(message) for message in sent)
    listed = ", ".join(f"{kinds[kind]} {says}" for kind, says in KINDS.items() if kinds[kind])
    return f"{len(sent)} sent: {listed}"


def _kind(message: Mapping[str, Any]) -> str:
    return str(message["key"]).partition(":")[0]
