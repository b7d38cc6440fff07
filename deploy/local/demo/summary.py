"""The page that the demo ends with: who has what, the five flows in numbers, all books side by side."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from deploy.local.demo.outcome import AT_THE_BANK, Items, Seen, Tie, in_state, invariants, moved, prepaid, ties, total
from deploy.local.demo.shapes import Books
from deploy.local.demo.timeline import plot
from deploy.local.demo.wording import counted, money

KINDS = {
    "purchase_confirmed": "purchases",
    "booking_confirmed": "bookings",
    "booking_cancelled": "cancellations",
    "invoice_issued": "invoices",
    "collection_failed": "failed debits",
}
PLAIN = box.Box("    \n    \n -- \n    \n    \n -- \n    \n    \n", ascii=True)
"""Lines under the head and over the foot, where no terminal is."""
COLUMNS = "held: booked, to come; ahead: booked beyond the open period; after use: billed at the close"
WIDEST = 110
STATES = {"settled": "settled", "submitted": "in flight", "declined": "declined"}


def conclude(console: Console, books: Books, seen: Seen) -> list[str]:
    """Print the page; return what is wrong, if anything: invariants broken, books that do not say the same."""
    first, last = seen.days[0], seen.days[-1]
    since = f"{first.day}" if (first.year, first.month) == (last.year, last.month) else f"{first.day} {first:%B %Y}"
    mark = "\N{FULL BLOCK}" if console.encoding.startswith("utf") else "#"
    title = f"{books.business.name}, {since} to {last.day} {last:%B %Y}, amounts in {books.business.currency}"
    console.print()
    console.rule(Text(title, style="bold"), characters="-")
    _section(console, "Sessions", _sessions(console, seen), COLUMNS)
    _section(console, "Money", _money(console, seen))
    _section(console, "Week by week", *plot(seen, mark=mark, width=min(console.width, WIDEST) - 2))
    _section(console, "The five flows", _flows(seen))
    _section(console, "The bank's own log beside directdebit's", _bank(console, seen))
    checked = ties(seen)
    _section(console, "All books side by side", *map(_tie, checked))
    _section(console, f"Mails: {_mails(seen)}")
    if surprises := [refusal for refusal in seen.refusals if not refusal.expected]:
        listed = [f"{refusal.place}: {refusal.act}: {refusal.reason}" for refusal in surprises]
        _section(console, "Refused, though the files say otherwise", *listed)
    broken = [f"{name}: {counted(len(rows), 'row')}: {rows[:3]}" for name, rows in seen.violations.items()]
    _section(console, f"{invariants()} invariants checked, {len(broken)} broken", *broken)
    return broken + [f"{tie.what}: {_views(tie)}" for tie in checked if not tie.holds]


def _section(console: Console, title: str, *content: Table | Text | str) -> None:
    console.print()
    console.print(Text(title, style="bold"))
    for part in content:
        console.print(Padding(Text(part) if isinstance(part, str) else part, (0, 0, 0, 2), expand=False))


def _table(console: Console, *columns: str, texts: int) -> Table:
    """A table whose first columns are texts, and the rest numbers; of plain characters where no terminal is."""
    table = Table(
        box=box.SIMPLE_HEAD if console.is_terminal else PLAIN, pad_edge=False, show_edge=False, collapse_padding=True
    )
    for number, name in enumerate(columns):
        table.add_column(name, justify="left" if number < texts else "right", no_wrap=number >= texts)
    return table


# Who has what


def _sessions(console: Console, seen: Seen) -> Table:
    """A row per client: what came is used, lost, set aside or left; sessions that are billed after use apart."""
    columns = ("client", "packages", "allocated", "used", "forfeited", "held", "left", "ahead", "after\nuse")
    table = _table(console, *columns, texts=1)

    def row(name: str, packages: Items, style: str = "") -> None:
        counts = ("purchased", "consumed", "forfeited", "held", "available", "ahead")
        sums = [total(prepaid(packages), count) for count in counts]
        later = total((p for p in packages if p["billing_mode"] == "post_bill"), "consumed")
        table.add_row(name, *(str(number or "") for number in (len(packages), *sums, later)), style=style)

    for client_id, name in seen.names.items():
        row(name, [package for package in seen.packages if package["client_id"] == client_id])
    table.add_section()
    row("all", seen.packages, style="bold")
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
    flows = (_returned(seen), _closed(seen), _collected(seen), _by_the_calendar(seen), _declined(seen))
    grid = Table.grid(padding=(0, 0, 0, 2))
    for number, flow in enumerate(flows, start=1):
        grid.add_row(Text(str(number), style="cyan"), flow)
    if at_the_desk := _at_the_desk(seen):
        grid.add_row("", at_the_desk)
    if expected := [refusal.reason for refusal in seen.refusals if refusal.expected]:
        reasons = "; ".join(f"{reason[0].lower()}{reason[1:]}" for reason in dict.fromkeys(expected))
        grid.add_row("", f"{counted(len(expected), 'booking')} refused, as the files expect: {reasons}")
    return grid


def _returned(seen: Seen) -> str:
    states = Counter(booking["state"] for booking in seen.bookings)
    late = states["late_cancelled"]
    back = sum(entry["kind"] == "returned" for entry in seen.history) - moved(seen)
    return (
        f"{counted(states['cancelled'] + late, 'booking')} cancelled: {counted(back, 'session')} back in"
        f" their packages; {late} came too late, and counted as used"
    )


def _closed(seen: Seen) -> str:
    closed = in_state([p for p in seen.packages if p["billing_mode"] == "post_bill"], "closed")
    bills = [invoice for invoice in seen.invoices if any(line["booking_id"] for line in invoice["lines"])]
    renewed = [package for package in seen.packages if package["predecessor_id"]]
    says = (
        f"{counted(len(closed), 'post-bill package')} closed: {counted(sum(len(i['lines']) for i in bills), 'session')}"
        f", a line each, {counted(len(bills), 'invoice')}, {money(total(bills, 'total_minor'))}"
    )
    if renewed:
        says += f"; {len(renewed)} renewed, {counted(moved(seen), 'session')} moved"
    return says


def _collected(seen: Seen) -> str:
    settled, flying = in_state(seen.debits, "settled"), in_state(seen.debits, "submitted")
    return (
        f"{counted(len(seen.payments), 'debit')} sent for what was due: {len(settled)} settled, {_sum(settled)};"
        f" {len(flying)} still under way, {_sum(flying)}"
    )


def _declined(seen: Seen) -> str:
    declined = in_state(seen.debits, "declined")
    told = Counter(m["recipient"] == "business" for m in seen.messages if _kind(m) == "collection_failed")
    return (
        f"{len(declined)} declined ({_causes(declined)}), {_sum(declined)}: owed again, and"
        f" {money(_owing_after_a_decline(seen))} of it still is;"
        f" {counted(told[False], 'mail')} to clients, {told[True]} to the desk"
    )


def _by_the_calendar(seen: Seen) -> str:
    """What nobody did: periods opened and parts fell due, each on its date."""
    opened = [lot for lot in seen.lots if lot["period_index"] > 1]
    periods = [invoice for invoice in seen.invoices if (invoice["period_index"] or 1) > 1]
    parts = [part for invoice in seen.invoices for part in invoice["instalments"][1:] if part["label"] != "scheduled"]
    return (
        f"{counted(len(seen.billed), 'day')} billed: {counted(len(opened), 'period')} opened,"
        f" {counted(total(opened, 'size'), 'session')}, {counted(len(periods), 'invoice')},"
        f" {money(total(periods, 'total_minor'))}; {counted(len(parts), 'instalment')} fell due"
    )


def _at_the_desk(seen: Seen) -> str:
    """What was handed over by hand; nothing where nothing was."""
    payments = [payment for invoice in seen.invoices for payment in invoice["payments"]]
    by_hand = {method: [paid for paid in payments if paid["method"] == method] for method in ("cash", "card")}
    said = [f"{len(paid)} by {method}, {_sum(paid)}" for method, paid in by_hand.items() if paid]
    return f"Paid at the desk: {'; '.join(said)}" if said else ""


def _owing_after_a_decline(seen: Seen) -> int:
    """What is open, and not on its way, of instalments for which a debit was once declined."""
    return sum(
        part["open_minor"] - part["in_flight_minor"]
        for invoice in seen.invoices
        for part in invoice["instalments"]
        if any(f["state"] == "declined" and f["instalment_id"] == part["instalment_id"] for f in invoice["debits"])
    )


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
