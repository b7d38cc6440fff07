"""What every endpoint has in common, said in its OpenAPI document: the key of a POST, and problems as answers."""

from typing import Any

from fastapi import FastAPI

KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "New for each thing you want done; the same again when the answer was lost.",
    "schema": {"type": "string", "minLength": 8, "maxLength": 255},
}
PROBLEM = {
    "title": "Problem",
    "description": "A problem document (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "description": "urn:punchcard:problem:<code>, for programs to look at"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
ANSWER = {
    "description": "It was not done; the problem document says why and what to do.",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def complete(app: FastAPI) -> None:
    """Let the app's document say what the doors do beside the endpoints' own shapes."""
    of_the_endpoints = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = of_the_endpoints()  # which keeps it in `openapi_schema`
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            schemas["Problem"] = PROBLEM
            for item in document["paths"].values():
                for verb, endpoint in item.items():
                    _complete(verb, endpoint)
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(verb: str, endpoint: dict[str, Any]) -> None:
    """An endpoint without a token is a callback: it has no key."""
    if verb == "post" and "security" in endpoint:
        endpoint.setdefault("parameters", []).append(KEY)
    endpoint["responses"].pop("422", None)
    endpoint["responses"]["default"] = ANSWER
