"""`./dev docs`: the pages that are made from the code, so that they cannot lie; a test checks that they are fresh."""

import ast
import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

import shared.events
from deploy.local.contracts import golden
from deploy.local.contracts.asyncapi import asyncapi
from deploy.local.contracts.changes import broken_calls, broken_events
from deploy.local.servers import ROOT
from services.__main__ import SERVICES, SUBSCRIPTIONS
from shared.events import TYPES, Event
from shared.service import Service

DOCS = ROOT / "docs"
MADE = "<!-- Made by `./dev docs` from the code; do not edit. -->"
SOURCE = re.compile(r"\b(?:EZ|FSP|CC|PB|OE|R|V|G)-\d+\b")


CHANGES = DOCS / "api-changes.md"


def docs(
    breaking: Annotated[str, typer.Option(help="Why a change that breaks callers or readers is right.")] = "",
) -> None:
    """Write the pages that are made from the code: rules, events, OpenAPI, AsyncAPI, and new golden events."""
    made = pages()
    if misread := golden.broken():
        _refuse("The golden events are not read as they were written", misread)
    if breaks := broken(made):
        if not breaking:
            _refuse('This breaks others. Make it an addition, or say why not: ./dev docs --breaking "why"', breaks)
        made[CHANGES] = CHANGES.read_text() + told(breaking, breaks, datetime.now(UTC).date().isoformat())
    for path, content in (made | golden.files()).items():
        if not path.exists() or path.read_text() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
            print(path.relative_to(ROOT))


def _refuse(why: str, found: list[str]) -> None:
    typer.echo("\n".join([f"{why}. Nothing was written.", *(f"  {each}" for each in found)]), err=True)
    raise typer.Exit(1)


def broken(made: dict[Path, str]) -> list[str]:
    """What these pages would break for those who hold to the ones that are there."""
    found = []
    for path, compare in ((DOCS / "openapi.json", broken_calls), (DOCS / "asyncapi.json", broken_events)):
        if path.exists():
            found += compare(json.loads(path.read_text()), json.loads(made[path]))
    return found


def told(why: str, breaks: list[str], day: str) -> str:
    """The entry of a breaking change in docs/api-changes.md."""
    return "\n".join([f"\n## {day}: {why}\n", *(f"* {each}" for each in breaks)]) + "\n"


def pages() -> dict[Path, str]:
    """Every generated page, by its path."""
    documents = {name: _openapi(service) for name, service in SERVICES.items()}
    return {
        DOCS / "rules.md": rules_page(),
        DOCS / "events.md": events_page(SERVICES),
        DOCS / "asyncapi.json": _json(asyncapi(published(), SUBSCRIPTIONS)),
        **{DOCS / "openapi" / f"{name}.json": _json(document) for name, document in documents.items()},
        DOCS / "openapi.json": _json(merged(documents)),
    }


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


# Rules


def rules_page() -> str:
    """Each rule with its sentence, its sources and its place."""
    lines = [
        MADE,
        "# The rules",
        "",
        "Every decision of every service: pure functions, in `rules.py` or a folder `rules/`; and, at the end, what",
        "all share: how dates are reckoned, and when a fact that failed is tried again. To find one, search here.",
        "What an id such as R-18 or PB-15 stands for is in [sources.md](sources.md).",
    ]
    for name in SERVICES:
        lines += ["", f"## {name}", "", "| rule | says | source | where |", "|---|---|---|---|"]
        for path in sorted((ROOT / "services" / name).rglob("*.py")):
            if "rules" in (path.stem, path.parent.name):
                lines += _rules_of(path)
    lines += ["", "## shared", "", "| rule | says | source | where |", "|---|---|---|---|"]
    for name in ("schedule", "retrying"):
        lines += _rules_of(ROOT / "shared" / f"{name}.py")
    return "\n".join(lines) + "\n"


def _rules_of(path: Path) -> Iterator[str]:
    place = path.relative_to(ROOT)
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            text = ast.get_docstring(node) or ""
            sentence = " ".join(text.split("\n\n")[0].split())
            sources = ", ".join(dict.fromkeys(SOURCE.findall(text)))
            yield f"| `{node.name}` | {sentence} | {sources} | [{place}](../{place}) |"


# Events


def published() -> dict[str, list[type[Event]]]:
    """Publisher → its events, in the order of their file."""
    made: dict[str, list[type[Event]]] = {name: [] for name in SERVICES}
    for module in pkgutil.iter_modules(shared.events.__path__):
        name = importlib.import_module(f"shared.events.{module.name}").__name__
        for event in TYPES.values():
            if event.__module__ == name:
                made[module.name].append(event)
    return made


def events_page(services: dict[str, Service]) -> str:
    """Who tells what, and who hears it."""
    lines = [
        MADE,
        "# The events",
        "",
        "Services meet only through these facts. Each travels in a CloudEvents 1.0 envelope; about one subject they",
        "keep their order, and every handler is indifferent to order and repetition all the same.",
        "",
        "```mermaid",
        "flowchart LR",
    ]
    told = published()
    arrows: dict[tuple[str, str], list[str]] = {}
    for publisher, events in told.items():
        for event in events:
            for hearer in _hearers(event, services):
                arrows.setdefault((publisher, hearer), []).append(_fact(event))
    lines += [f'    {a} -- "{"<br/>".join(facts)}" --> {b}' for (a, b), facts in arrows.items()]
    lines += ["```"]
    for publisher, events in told.items():
        if events:
            lines += [
                "",
                f"## {publisher}",
                "",
                "| event | what became true | subject | heard by |",
                "|---|---|---|---|",
            ]
            for event in events:
                says = " ".join((event.__doc__ or "").split("\n\n")[0].split())
                bulk = " (bulk)" if event.bulk else ""
                hearers = ", ".join(_hearers(event, services)) or "nobody yet"
                lines.append(f"| `{event.type}`{bulk} | {says} | `{event.subject_field}` | {hearers} |")
    return "\n".join(lines) + "\n"


def _fact(event: type[Event]) -> str:
    return event.type.split(".")[1]


def _hearers(event: type[Event], services: dict[str, Service]) -> list[str]:
    return [name for name, service in services.items() if event.type in service.subscriptions]


# OpenAPI


def _openapi(service: Service) -> dict[str, Any]:
    return service.app().openapi()


def merged(documents: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """One document for the gateway: paths under each service's prefix, its schemas under its name."""
    whole: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "Punchcard", "version": "1", "description": "All services, as the gateway serves them."},
        "paths": {},
        "components": {"schemas": {}, "securitySchemes": {}},
    }
    for name, document in documents.items():
        text = json.dumps(document).replace("#/components/schemas/", f"#/components/schemas/{name}.")
        prefixed = json.loads(text)
        components = prefixed.get("components", {})
        whole["paths"] |= {f"/{name}{path}": item for path, item in prefixed["paths"].items()}
        whole["components"]["schemas"] |= {
            f"{name}.{schema}": shape for schema, shape in components.get("schemas", {}).items()
        }
        whole["components"]["securitySchemes"] |= components.get("securitySchemes", {})
    return whole
