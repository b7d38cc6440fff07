"""The invariants of each service, which it keeps by itself: queries that must return no row."""

from collections.abc import Iterator

from deploy.audit.books import Books
from deploy.audit.findings import Finding


def invariants(books: Books) -> Iterator[Finding]:
    """No invariant returns a row. It names the row: no event is to blame where a service has broken its own promise."""
    for service, shelf in books.shelves.items():
        for invariant, rows in shelf.offenders.items():
            for row in rows:
                about = ", ".join(f"{name}={value}" for name, value in zip(row._fields, row, strict=True))
                yield Finding("broken", "an invariant", "", service, service, about, "no such row", invariant)
