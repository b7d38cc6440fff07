"""Errors as problem documents (RFC 9457): what went wrong, in which field, and what to do next."""

from http import HTTPStatus
from typing import Any

import asyncpg
import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from shared.database import is_away, may_succeed_again
from shared.errors import Invalid, Malformed, NotYetKnown, Problem, TooLarge, Unauthenticated, Unavailable
from shared.log import log

MEDIA_TYPE = "application/problem+json"
HEADERS: dict[type[Problem], dict[str, str]] = {
    NotYetKnown: {"Retry-After": "1"},
    Unavailable: {"Retry-After": "2"},
    Unauthenticated: {"WWW-Authenticate": "Bearer"},
}

OF_THE_WEB: dict[int, type[Problem]] = {kind.status: kind for kind in (Malformed, TooLarge)}
"""What the framework, or the gate within its reach, says with an exception of its own."""


def document(status: int, code: str, title: str, detail: str | None = None, **members: Any) -> Response:
    body = {"type": f"urn:punchcard:problem:{code}", "title": title, "status": status}
    if detail:
        body["detail"] = detail
    return Response(orjson.dumps(body | members, default=str), status, media_type=MEDIA_TYPE)


def render(problem: Problem) -> Response:
    """The answer to a request that ended in one of our own errors."""
    answer = document(problem.status, problem.code(), problem.title(), problem.detail, **problem.members)
    for kind, headers in HEADERS.items():
        if isinstance(problem, kind):
            answer.headers.update(headers)
    return answer


def _path(location: tuple[int | str, ...]) -> str:
    """`("body", "tiers", 0, "rate_minor")` → `tiers.0.rate_minor`."""
    return ".".join(str(part) for part in location[1:]) or str(location[0])


async def of_the_web(_: Request, error: Exception) -> Response:
    """The answer where the framework has no endpoint, or none for the method, or cannot read the request."""
    if not isinstance(error, HTTPException):
        raise error
    if kind := OF_THE_WEB.get(error.status_code):
        return render(kind(error.detail))
    title = HTTPStatus(error.status_code).phrase
    detail = None if error.detail == title else error.detail
    answer = document(error.status_code, title.lower().replace(" ", "-"), title, detail)
    answer.headers.update(error.headers or {})
    return answer


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every error of an app with a problem document; nothing internal shows in it."""

    @app.exception_handler(Problem)
    async def ours(_: Request, problem: Problem) -> Response:
        return render(problem)

    @app.exception_handler(RequestValidationError)
    async def fields(_: Request, error: RequestValidationError) -> Response:
        """Each unacceptable field by its path; a body that is not JSON at all is malformed."""
        if any(e["type"] == "json_invalid" for e in error.errors()):
            return render(Malformed("The body is not valid JSON."))
        errors = [{"field": _path(e["loc"]), "message": e["msg"]} for e in error.errors()]
        return render(Invalid("; ".join(f"{e['field']}: {e['message']}" for e in errors), errors=errors))

    async def of_the_database(request: Request, error: Exception) -> Response:
        """Away, or a lock that was not to be had, is 503 with nothing changed; anything else is ours to mend."""
        if not (is_away(error) or may_succeed_again(error)):
            raise error
        log.warning("database_unavailable", path=request.url.path, error=type(error).__name__)
        return render(Unavailable("The database cannot be reached, or is busy with the same thing."))

    app.add_exception_handler(HTTPException, of_the_web)
    for kind in (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        app.add_exception_handler(kind, of_the_database)
