"""A query parameter that an endpoint does not know is refused: a misspelt filter would quietly show everything."""

from collections.abc import Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from shared.errors import Invalid


def refuse_unknown(request: Request) -> None:
    """Raise Invalid, naming each query parameter that the endpoint of this request does not ask for."""
    route = request.scope["route"]
    if not (request.query_params and isinstance(route, APIRoute)):
        return
    known = set(_known(route.dependant))
    unknown = [name for name in dict.fromkeys(request.query_params.keys()) if name not in known]
    if unknown:
        errors = [{"field": name, "message": "This endpoint has no such parameter"} for name in unknown]
        allowed = f"It has {', '.join(sorted(known))}." if known else "It has none."
        raise Invalid(f"This endpoint has no parameter {', '.join(unknown)}. {allowed}", errors=errors)


def _known(dependant: Dependant) -> Iterator[str]:
    """What an endpoint asks for, itself or through what it depends on; a shape in the query asks for its fields."""
    for field in dependant.query_params:
        kind = field.field_info.annotation
        yield from kind.model_fields if isinstance(kind, type) and issubclass(kind, BaseModel) else (field.alias,)
    for part in dependant.dependencies:
        yield from _known(part)
