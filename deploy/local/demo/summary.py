"""The page that the demo ends with: who has what, the four flows in numbers, all books side by side."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.padding import Padding
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
PLAIN = box.Box("    \n    \n -- \n    \n    \n -- \n    \n    \n", ascii=True)
"""Lines under the head and over the foot, where no terminal is."""
STATES = {"settled": "settled", "submitted": "in flight", "declined": "declined"}


def conclude(console: Console, books: Books, seen: Seen) -> list[str]:
    """Print the page; return what is wrong, if anything: invariants broken, books that do not say the same."""
    first, last = books.days[0], books.days[-1]
    since = f"{first.day}" if (first.year, first.month) == (last.year, last.month) else f"{first.day} {first:%B %Y}"
    title = f"{books.business.name}, {since} to {last.day} {last:%B %Y}, amounts in {books.business.currency}"
    console.print()
    console.rule(Text(title, style="bold"), characters="-")
    _section(console, "Sessions", _sessions(console, seen))
    _section(console, "Money", _money(console, seen))
    _section(console, "The four flows", _flows(seen))
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
        console.print(Padding(Text(part) if isinstance(part, str) else part, (0, 0, 0, 2), expand=False))


def _table(console: Console, *columns: str, texts: int) -> Table:
    """A table whose first columns are texts, and the rest numbers; of plain characters where no terminal is."""
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else PLAIN, pad_edge=False, show_edge=False)
    for number, name in enumerate(columns):
        table.add_column(name, justify="left" if number < texts else "right", no_wrap=number >= texts)
    return table


# Who has what


def _sessions(console: Console, seen: Seen) -> Table:
    """A row per package, by client."""
    table = _table(console, "client", "package", "bought", "used", "held", "left", texts=2)
    for client_id, name in seen.names.items():
        for number, package in enumerate(p for p in seen.packages if p["client_id"] == client_id):
            table.add_row(
                name if number == 0 else "",
                package["name"] + (", closed" if package["state"] == "closed" else ""),
                *(str(package[count]) for count in ("purchased", "consumed", "held", "available")),
            )
    return table


def _money(console: Console, seen: Seen) -> Table:
    """A row per payer: what was invoiced is paid, on its way, owing or not due yet."""
    table = _table(console, "client", "invoiced", "paid", "in flight", "owing", "not due", texts=1)
    for client_id, name in seen.names.items():
        standing = _standing([invoice for invoice in seen.invoices if invoice["payer_id"] == client_id])
        table.add_row(name, *(money(amount) if amount else "" for amount in standing))
    table.add_section()
    table.add_row("all", *map(money, _standing(seen.invoices)), style="bold")
    return table


def _standing(invoices: Sequence[Mapping[str, Any]]) -> tuple[int, int, int, int, int]:
    """Invoiced, paid, in flight, owing, not due yet."""
    parts = [part for invoice in invoices for part in invoice["instalments"]]
    later = total((part for part in parts if part["label"] == "scheduled"), "open_minor")
    invoiced, still_open = total(invoices, "total_minor"), total(invoices, "open_minor")
    in_flight = total(invoices, "in_flight_minor")
    return invoiced, invoiced - still_open, in_flight, still_open - in_flight - later, later


# What happened


def _flows(seen: Seen) -> Table:
    states = Counter(booking["state"] for booking in seen.bookings)
    kinds = Counter(entry["kind"] for entry in seen.history)
    closed = in_state([p for p in seen.packages if p["billing_mode"] == "post_bill"], "closed")
    bills = [invoice for invoice in seen.invoices if any(line["booking_id"] for line in invoice["lines"])]
    late = states["late_cancelled"]
    settled, flying, declined = (in_state(seen.debits, state) for state in STATES)
    told = Counter(m["recipient"] == "business" for m in seen.messages if _kind(m) == "collection_failed")
    flows = (
        f"{counted(states['cancelled'] + late, 'booking')} cancelled: {counted(kinds['returned'], 'session')} back in"
        f" their packages; {late} came too late, and counted as used\n"
        f"{counted(len(closed), 'post-bill package')} closed: {counted(sum(len(i['lines']) for i in bills), 'session')}"
        f" used, a line each on {counted(len(bills), 'invoice')}, {money(total(bills, 'total_minor'))}\n"
        f"{counted(len(seen.payments), 'debit')} sent for what was due: {len(settled)} settled, {_sum(settled)};"
        f" {len(flying)} still under way, {_sum(flying)}\n"
        f"{len(declined)} declined ({_causes(declined)}): {_sum(declined)} owed again;"
        f" {counted(told[False], 'mail')} to clients, {told[True]} to the desk"
    )
    grid = Table.grid(padding=(0, 0, 0, 2))
    for number, flow in enumerate(flows.splitlines(), start=1):
        grid.add_row(Text(str(number), style="cyan"), flow)
    if rest := _standing(seen.invoices)[3] - total(declined, "amount_minor"):
        grid.add_row("", f"{money(rest)} more is owing where no debit was asked for: no auto-pay, or no mandate")
    if expected := [refusal.reason for refusal in seen.refusals if refusal.expected]:
        reasons = "; ".join(f"{reason[0].lower()}{reason[1:]}" for reason in dict.fromkeys(expected))
        grid.add_row("", f"{counted(len(expected), 'booking')} refused, as the files expect: {reasons}")
    return grid


def _sum(debits: Items) -> str:
    return money(total(debits, "amount_minor"))


def _causes(declined: Items) -> str:
    counts = Counter(str(debit["code"]).replace("_", " ") for debit in declined)
    return ", ".join(f"{number} of {cause}" for cause, number in counts.most_common())


def _bank(console: Console, seen: Seen) -> Table:
    """The two logs, state by state; they share nothing but the payments themselves."""
    table = _table(console, "", "directdebit: debits", "amount", "bank: payments", "amount", "", texts=1)
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
    return Text.assemble(_mark(tie.holds), f"  {tie.what:<27}{_views(tie)}")


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
