"""What packages must have of bookings: a hold for each, and what it has entered in the ledgers of its packages."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from deploy.audit.books import Books, Told
from deploy.audit.findings import Finding, Must, about_fact, disagreements, unexplained
from deploy.audit.folding.bookings import ASKED, ATTENDED, CANCELLED, REFUSED, chains, stories
from deploy.audit.folding.packages import CLOSED, HELD, MOVED, NOT_HELD, Sale, sales
from services.packages.rules import lots

HEARD = (REFUSED, CANCELLED, ATTENDED)


def holds(books: Books) -> Iterator[Finding]:
    """Every hold, and every entry that a booking made in a ledger, is what the facts have made it."""
    sold = sales(books)
    told, held = stories(books), chains(books)
    refused = {fact.event.booking_id: fact for fact in books.told(NOT_HELD)}
    entered: set[tuple[Any, ...]] = set()
    for booking_id, story in told.items():
        if story[0].type != ASKED:
            continue
        chain = held.get(booking_id, [])
        hold = Hold(books, sold, booking_id, story, chain, refused.get(booking_id))
        yield from disagreements(books, hold.musts())
        if chain:
            yield from hold.entries(entered)
    yield from _outcomes(books, told)
    yield from _moves(books, held)
    asked = {(booking_id,) for booking_id in told}
    yield from unexplained(books, "packages", "holds", ("booking_id",), asked, ASKED)
    entries = books.shelves["packages"].tables["ledger_entries"]
    of_bookings = [row for row in entries if row.booking_id and books.kept(row.package_id)]

    def kind(row: Any) -> str:
        return {"held": HELD, "returned": CANCELLED}.get(row.kind, ATTENDED)

    keys = ("booking_id", "package_id", "kind")
    yield from unexplained(books, "packages", "ledger_entries", keys, entered, kind, rows=of_bookings)


def _moves(books: Books, held: Mapping[UUID, list[tuple[UUID, Told]]]) -> Iterator[Finding]:
    """What moves from one package to another was held there."""
    for moved in books.told(MOVED):
        for booking_id in moved.event.booking_ids:
            if books.kept(booking_id) and all(because is not moved for _, because in held.get(booking_id, ())):
                should = f"bookings whose sessions {moved.event.package_id} held"
                yield about_fact("altered", moved, "packages", "booking_ids", should, str(booking_id))


def _outcomes(books: Books, told: Mapping[UUID, list[Told]]) -> Iterator[Finding]:
    """A closure counts each session with an outcome that booking has told of it."""
    for closed in books.told(CLOSED):
        for session in closed.event.sessions:
            story = told.get(session.booking_id, [])
            said = {fact.event.outcome for fact in story if fact.type == ATTENDED}
            said |= {"late_cancelled" for fact in story if fact.type == CANCELLED and not fact.event.returns_session}
            if story and story[0].type == ASKED and session.outcome not in said:
                about = f"booking_id={session.booking_id}, outcome"
                should = " or ".join(sorted(said)) or "not counted"
                yield about_fact("altered", closed, "packages", about, should, session.outcome)


@dataclass(frozen=True)
class Hold:
    """One booking's session, by the facts about it."""

    books: Books
    sold: Mapping[UUID, Sale]
    booking_id: UUID
    story: list[Told]
    chain: list[tuple[UUID, Told]]
    refused: Told | None

    @property
    def news(self) -> Told | None:
        """The newest that packages has heard of the booking since it held the session."""
        return next((told for told in reversed(self.story) if told.type in HEARD), None)

    @property
    def end(self) -> str:
        """What has become of the session: held, returned or consumed."""
        if self.news is None:
            return "held"
        returns = self.news.type == REFUSED or (self.news.type == CANCELLED and self.news.event.returns_session)
        return "returned" if returns else "consumed"

    @property
    def sale(self) -> Sale | None:
        """The package that holds it now, if its sale is in the log."""
        return self.sold.get(self.chain[-1][0]) if self.chain else None

    def musts(self) -> Iterator[Must]:
        """The row that packages keeps of the booking."""
        asked = self.story[0]

        def must(because: Told | str, **values: Any) -> Must:
            return Must("packages", "holds", {"booking_id": self.booking_id}, values, because)

        event = asked.event
        row = self.books.shelves["packages"].row("holds", booking_id=self.booking_id)
        overtaken = not self.chain and not self.refused and self.news is not None
        if overtaken and row is not None and row.service_id is None:
            yield must(self.news or asked, state="returned", package_id=None)
            return
        yield must(asked, service_id=event.service_id, starts_at=event.starts_at, session_date=event.session_date)
        if self.refused:
            unheard = {"sequence": event.sequence}  # what is refused takes in no news of its booking
            yield must(self.refused, state="refused", package_id=None, outcome=None, **unheard)
        elif self.chain:
            yield from self._held(must)
        else:
            yield must(HELD, state="refused", package_id=None)

    def _held(self, must: Any) -> Iterator[Must]:
        package_id, because = self.chain[-1]
        yield must(because, package_id=package_id)
        news = self.news or self.story[0]
        yield must(news, sequence=news.event.sequence)
        outcome = None
        if self.end == "consumed":
            outcome = news.event.outcome if news.type == ATTENDED else "late_cancelled"
        yield must(self.news or because, outcome=outcome)
        if self.sale is not None:
            ahead = self.end != "returned" and self.sale.is_ahead(self.story[0].event)
            yield must(self.news or because, state="ahead" if ahead else self.end)

    def entries(self, entered: set[tuple[Any, ...]]) -> Iterator[Finding]:
        """What it must have entered in the ledgers of the packages that held it; `entered` notes every entry."""
        for place, (package_id, because) in enumerate(self.chain):
            sale = self.sold.get(package_id)
            last = place == len(self.chain) - 1
            moved = None if last else self.chain[place + 1][1]
            kinds = {"held": because}
            if moved or self.end == "returned":
                kinds["returned"] = moved or self.news or because
            elif self.end == "consumed":
                kinds["consumed"] = self.news or because
            entered |= {(self.booking_id, package_id, kind) for kind in kinds}
            if sale is None or self._never_firm(sale, package_id, kinds):
                continue
            period = lots.entered_period(sale.package, self.story[0].event.session_date)
            for kind, told in kinds.items():
                key = {"booking_id": self.booking_id, "package_id": package_id, "kind": kind}
                must = Must("packages", "ledger_entries", key, {"quantity": 1, "period_index": period}, told)
                yield from disagreements(self.books, [must])

    def _never_firm(self, sale: Sale, package_id: UUID, kinds: Mapping[str, Told]) -> bool:
        """Whether it is in no ledger: it is ahead, or was until it came back, which the rows alone can tell."""
        if sale.is_ahead(self.story[0].event):
            return True
        period = lots.period_on(sale.package, self.story[0].event.session_date) or 1
        rows = self.books.shelves["packages"].rows("ledger_entries", booking_id=self.booking_id, package_id=package_id)
        return "returned" in kinds and lots.is_recurring(sale.package) and period > 1 and not rows
