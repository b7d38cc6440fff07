"""The page that the demo ends with: who has what, the five flows in numbers, all books side by side."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from deploy.local.demo.outcome import (
    LOST,
    STATES,
    Items,
    Seen,
    Tie,
    by_payer,
    by_state,
    in_state,
    invariants,
    moved,
    prepaid,
    ties,
    total,
)
from deploy.local.demo.shapes import Script
from deploy.local.demo.timeline import plot
from deploy.local.demo.wording import counted, money

KINDS = {
    "purchase_confirmed": "purchases",
    "booking_confirmed": "bookings",
    "booking_cancelled": "cancellations",
    "invoice_issued": "invoices",
    "instalment_overdue": "reminders",
    "collection_failed": "failed debits",
}
PLAIN = box.Box("    \n    \n -- \n    \n    \n -- \n    \n    \n", ascii=True)
"""Lines under the head and over the foot, where no terminal is."""
COLUMNS = "(held: booked, to come; ahead: booked beyond the open period; after use: billed when closed)"
WIDEST = 110


def conclude(console: Console, script: Script, seen: Seen) -> list[str]:
    """Print the page; return what is wrong, if anything: findings of the audit, books that do not say the same."""
    first, last = seen.days[0], seen.days[-1]
    since = f"{first.day}" if (first.year, first.month) == (last.year, last.month) else f"{first.day} {first:%B %Y}"
    mark = "\N{FULL BLOCK}" if console.encoding.startswith("utf") else "#"
    title = f"{script.business.name}, {since} to {last.day} {last:%B %Y}, amounts in {script.business.currency}"
    console.print()
    console.rule(Text(title, style="bold"), characters="-")
    _section(console, f"Sessions {COLUMNS}", _sessions(console, seen))
    _section(console, "Money", _money(console, seen))
    _section(console, *plot(seen, mark=mark, width=min(console.width, WIDEST) - 2))
    _section(console, "The five flows", _flows(seen))
    _section(console, "The bank's own log beside directdebit's, and what billing has of it", _bank(console, seen))
    checked, of_payers = ties(seen), by_payer(seen)
    _section(console, "All books side by side", *map(_tie, checked), *_payers(of_payers))
    if surprises := [refusal for refusal in seen.refusals if not refusal.expected]:
        listed = [f"{refusal.place}: {refusal.act}: {refusal.reason}" for refusal in surprises]
        _section(console, "Refused, though the files say otherwise", *listed)
    title = (
        f"{invariants()} invariants checked, and all services and the bank compared: {len(seen.violations)} findings"
    )
    _section(console, title, *seen.violations)
    checked += [tie for of_state in by_state(seen).values() for tie in of_state] + of_payers
    return [*seen.violations] + [f"{tie.what}: {_views(tie)}" for tie in checked if not tie.holds]


def _section(console: Console, title: Text | str, *content: Table | Text | str) -> None:
    console.print()
    console.print(Text(title, style="bold") if isinstance(title, str) else title)
    for part in content:
        indented = Padding(Text(part) if isinstance(part, str) else part, (0, 0, 0, 2), expand=False)
        for line in console.render_lines(indented, pad=False):
            console.print(_trimmed(line), no_wrap=True)


def _trimmed(line: Sequence[Segment]) -> Text:
    """A line without the blanks at its end, with which cells are filled up."""
    text = Text.assemble(*((segment.text, segment.style or "") for segment in line))
    text.rstrip()
    return text


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
    columns = ("client", "packages", "allocated", "used", "forfeited", "held", "left", "ahead", "after use")
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
    flows = (_returned(seen), _closed(seen), _collected(seen), _by_the_calendar(seen), _failed(seen))
    grid = Table.grid(padding=(0, 0, 0, 2))
    for number, flow in enumerate(flows, start=1):
        grid.add_row(Text(str(number), style="cyan"), flow)
    if at_the_desk := _at_the_desk(seen):
        grid.add_row("", at_the_desk)
    grid.add_row("", _mails(seen))
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
        says += f"; {len(renewed)} renewed with {counted(moved(seen), 'session')}"
    return says


def _collected(seen: Seen) -> str:
    settled, flying = in_state(seen.debits, "settled"), in_state(seen.debits, "submitted")
    final = [debit for debit in settled if debit["final"]]
    again = [(debit, item) for debit in seen.debits for item in debit["items"] if item["attempt_no"] > 1]
    tried = {debit["debit_id"] for debit, _ in again if debit["state"] in STATES}
    brought = sum(item["amount_minor"] for debit, item in again if debit["state"] == "settled")
    return (
        f"{counted(len(seen.payments), 'debit')} sent, one per payer and day: {len(settled)} collected,"
        f" {_sum(settled)} ({len(final)} final, {_sum(final)}); {len(flying)} still under way, {_sum(flying)};"
        f" {len(tried)} tried again what had failed, and brought {money(brought)} in the end"
    )


def _failed(seen: Seen) -> str:
    lost = {state: in_state(seen.debits, state) for state in LOST}
    says = [
        f"{len(debits)} {STATES[state]} ({_causes(debits)}), {_sum(debits)}" for state, debits in lost.items() if debits
    ]
    if not says:
        return "No debit failed"
    told = Counter(m["recipient"] == "business" for m in seen.messages if _kind(m) == "collection_failed")
    return (
        f"{'; '.join(says)}: owed again, and {money(_owing_after_a_failure(seen))} of it still is;"
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


def _owing_after_a_failure(seen: Seen) -> int:
    """What is open, and not on its way, of instalments for which a debit once failed."""
    return sum(
        part["open_minor"] - part["in_flight_minor"]
        for invoice in seen.invoices
        for part in invoice["instalments"]
        if any(fact["code"] and fact["instalment_id"] == part["instalment_id"] for fact in invoice["debits"])
    )


def _sum(debits: Items) -> str:
    return money(total(debits, "amount_minor"))


def _causes(failed: Items) -> str:
    """Why they failed; how many for which reason, where there are several."""
    counts = Counter(str(debit["code"]).replace("_", " ") for debit in failed).most_common()
    return ", ".join(f"{number} {cause}" if len(counts) > 1 else cause for cause, number in counts)


def _bank(console: Console, seen: Seen) -> Table:
    """The two logs, state by state, and in the bank's own words; they share nothing but the payments themselves."""
    columns = ("", "in the bank's words", "debits", "amount", "payments", "amount", "in billing", "")
    table = _table(console, *columns, texts=2)
    for state, (counts, amounts) in by_state(seen).items():
        words = Counter(_in_its_words(payment) for payment in in_state(seen.payments, state, field="end"))
        own = ", ".join(f"{number} {word}" for word, number in sorted(words.items()))
        row = [f"{view}" for view in counts.views.values()]
        sums = [money(view) for view in amounts.views.values()]
        billing = sums[2] if len(sums) > 2 else ""
        good = _mark(counts.holds and amounts.holds)
        table.add_row(STATES[state], own, row[0], sums[0], row[1], sums[1], billing, good)
    return table


def _in_its_words(payment: Mapping[str, Any]) -> str:
    """`paid out`; of one that brought nothing, or nothing any more, after what: `failed after paid out`."""
    *_, before, last = ["", *(step["action"].replace("_", " ") for step in payment["history"])]
    return f"{last} after {before}" if payment["end"] in LOST else last


def _mark(good: bool) -> Text:
    return Text("ok", style="green") if good else Text("DIFFERS", style="bold red")


def _tie(tie: Tie) -> Text:
    return Text.assemble(_mark(tie.holds), f"  {tie.what:<27}{_views(tie)}")


def _payers(of_payers: Sequence[Tie]) -> list[Text]:
    """One line where all is well with every payer, else a line for each with whom it is not."""
    differ = [_tie(tie) for tie in of_payers if not tie.holds]
    payers = "payer" if len(of_payers) == 1 else "payers"
    says = f"  {'collected of each payer':<27}{len(of_payers):>9}  {payers}, in directdebit, bank, billing"
    return differ or [Text.assemble(_mark(True), says)]


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
    return f"{counted(len(sent), 'mail')}: {listed}"


def _kind(message: Mapping[str, Any]) -> str:
    return str(message["key"]).partition(":")[0]
