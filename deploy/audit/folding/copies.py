"""What catalog tells, and what others keep of it: the newest of each entry, its columns as they are told."""

from collections.abc import Iterator

from deploy.audit.books import Books, newest
from deploy.audit.findings import Finding, Must, disagreements, unexplained
from deploy.audit.folding.packages import BILLED

OWN_ID = {"clients": "client_id", "staff": "staff_id", "services": "service_id", "business": "business_id"}
TELLS = {
    "clients": "catalog.client_changed.v1",
    "staff": "catalog.staff_changed.v1",
    "services": "catalog.service_changed.v1",
    "business": "catalog.business_changed.v1",
}
PUBLISHED = "catalog.template_published.v1"
STARTED = "catalog.business_day_started.v1"
VERSIONS = {"catalog": "template_versions", "packages": "templates"}


def copies(books: Books) -> Iterator[Finding]:
    """Every entry, and every copy of it, is what catalog told last."""
    for service, shelf in books.shelves.items():
        for table, kind in TELLS.items():
            if table in shelf.tables:
                yield from disagreements(books, _entries(books, service, table, kind))
                told = {(getattr(fact.event, OWN_ID[table]),) for fact in books.told(kind)}
                yield from unexplained(books, service, table, (OWN_ID[table],), told, kind)
    for service, table in VERSIONS.items():
        yield from _templates(books, service, table)
    yield from disagreements(books, _days(books))


def _entries(books: Books, service: str, table: str, kind: str) -> Iterator[Must]:
    key = OWN_ID[table]
    for told in newest(books.told(kind)).values():
        of_entry = {key: getattr(told.event, key)}
        row = books.shelves[service].row(table, **of_entry)
        values = {name: value for name, value in dict(told.event).items() if hasattr(row, name)}
        yield Must(service, table, of_entry, values, told)


def _templates(books: Books, service: str, table: str) -> Iterator[Finding]:
    keys = ("template_id", "version")
    musts = [
        Must(
            service,
            table,
            {name: getattr(told.event, name) for name in keys},
            {"active": told.event.active, "terms": told.event.terms},
            told,
        )
        for told in books.told(PUBLISHED)
    ]
    yield from disagreements(books, musts)
    told_of = {tuple(must.key.values()) for must in musts}
    yield from unexplained(books, service, table, keys, told_of, PUBLISHED)


def _days(books: Books) -> Iterator[Must]:
    """The newest day that has started is the one that catalog keeps, and up to which billing bills."""
    started = max(books.told(STARTED), key=lambda told: told.event.business_date, default=None)
    of_business = {"business_id": books.business_id}
    if started:
        day = started.event.business_date
        yield Must("catalog", "started_days", of_business, {"started_date": day}, started)
        yield Must("billing", "daily_runs", of_business, {"target": day}, started)
    billed = max(books.told(BILLED), key=lambda told: told.event.business_date, default=None)
    if billed:
        day, since = billed.event.business_date, billed.event.since_date
        yield Must("billing", "daily_runs", of_business, {"last_done": day, "since_date": since}, billed)
        yield Must("packages", "billed_days", of_business, {"business_date": day}, billed)
