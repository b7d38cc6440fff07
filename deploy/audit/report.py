"""What a person reads: a line for each finding, and a table of what was compared and what it came to."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from deploy.audit.books import BEGINNING, Books
from deploy.audit.findings import Finding
from deploy.audit.laws.payers import cents
from deploy.audit.laws.sessions import COUNTS

MONEY = ("invoiced", "paid", "credited", "kept for them", "open")


@dataclass
class Report:
    """What was compared in all, and what is wrong."""

    findings: list[tuple[UUID | None, Finding]] = field(default_factory=list)
    businesses: int = 0
    counted: Counter[str] = field(default_factory=Counter)
    sessions: Counter[str] = field(default_factory=Counter)
    money: Counter[str] = field(default_factory=Counter)
    """By currency and name, in the smallest unit."""
    kept_since: str = ""

    def add(self, books: Books, findings: Sequence[Finding]) -> None:
        """Take in one business."""
        self.findings += [(books.business_id, finding) for finding in findings]
        self.businesses += 1
        self.counted += Counter(books.counted)
        packages = books.shelves["packages"].tables["packages"]
        self.sessions += Counter({name: sum(getattr(row, name) for row in packages) for name in COUNTS})
        profile = books.shelves["catalog"].row("business", business_id=books.business_id)
        found = cents(books)
        for name in MONEY:
            self.money[f"{profile.currency if profile else '?'} {name}"] += found.get(name, Counter()).total()
        if books.kept_since > BEGINNING:
            self.kept_since = f"{books.kept_since:%Y-%m-%d %H:%M} UTC"

    def lines(self) -> Iterator[str]:
        """The findings, then the table."""
        for business_id, finding in self.findings:
            yield f"{business_id or '-'}  {finding.line()}"
        since = f"logs kept since {self.kept_since}" if self.kept_since else "logs kept from the beginning"
        yield f"compared    {self.businesses} businesses, {_many(self.counted)}; {since}"
        yield f"sessions    {', '.join(f'{self.sessions[name]} {name}' for name in COUNTS)}"
        for currency in sorted({name.partition(" ")[0] for name in self.money}):
            sums = (f"{self.money[f'{currency} {name}'] / 100:,.2f} {name}" for name in MONEY)
            yield f"{currency:<12}{', '.join(sums)}"
        kinds: Counter[str] = Counter(finding.what for _, finding in self.findings)
        yield f"findings    {_many(kinds) or 'none: clean'}"


def _many(counts: Counter[str]) -> str:
    return ", ".join(f"{many} {what}" for what, many in sorted(counts.items()))
