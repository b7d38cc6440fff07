"""What the bank answers when it says no, in the shape of the GoCardless API."""

from typing import Any
from uuid import uuid4


class Refused(Exception):
    """The bank did not do what was asked."""

    code = 400
    type = "invalid_api_usage"

    def __init__(self, message: str, *errors: dict[str, Any]) -> None:
        super().__init__(message)
        self.message = message
        self.errors = list(errors)

    def body(self) -> dict[str, Any]:
        """The answer's JSON; `request_id` names this one refusal."""
        return {
            "error": {
                "type": self.type,
                "code": self.code,
                "message": self.message,
                "request_id": str(uuid4()),
                "errors": self.errors,
            }
        }


class BadRequest(Refused):
    """The request cannot be read."""

    def __init__(self, message: str) -> None:
        super().__init__(message, {"reason": "bad_request", "message": message})


class NotAuthenticated(Refused):
    """No creditor has this access token."""

    code = 401

    def __init__(self) -> None:
        message = "The access token you've used is not valid"
        super().__init__(message, {"reason": "access_token_not_found", "message": message})


class NotFound(Refused):
    """This creditor has no such thing, whoever else may have it."""

    code = 404

    def __init__(self) -> None:
        message = "Resource not found"
        super().__init__(message, {"reason": "resource_not_found", "message": message})


class AlreadyCreated(Refused):
    """The idempotency key was used before; the answer names what it made."""

    code = 409
    type = "invalid_state"

    def __init__(self, resource_id: str) -> None:
        message = "A resource has already been created with this idempotency key"
        super().__init__(
            message,
            {
                "reason": "idempotent_creation_conflict",
                "message": message,
                "links": {"conflicting_resource_id": resource_id},
            },
        )


class IllegalMove(Refused):
    """A payment or a mandate in this state cannot become that."""

    code = 409
    type = "invalid_state"

    def __init__(self, move: str, status: str, what: str = "payment") -> None:
        message = f"A {what} that is {status} cannot {move.replace('_', ' ')}"
        super().__init__(message, {"reason": "illegal_move", "message": message})


class ClockRefused(Refused):
    """A clock only moves forward, and only a creditor's practice clock can be moved."""

    code = 409
    type = "invalid_state"

    def __init__(self, message: str) -> None:
        super().__init__(message, {"reason": "clock_refused", "message": message})


class Outage(Refused):
    """The bank is out of order: nothing is said of the request."""

    code = 503
    type = "gocardless"

    def __init__(self) -> None:
        message = "The service is unavailable"
        super().__init__(message, {"reason": "internal_server_error", "message": message})


class Invalid(Refused):
    """A field of the request is wrong; `errors` names each by field and by pointer, and never repeats its value."""

    code = 422
    type = "validation_failed"

    def __init__(self, *errors: dict[str, Any]) -> None:
        super().__init__("Validation failed", *errors)

    @classmethod
    def field(cls, pointer: str, message: str) -> "Invalid":
        """One wrong field, by its pointer, such as `/payments/links/mandate`."""
        return cls({"field": pointer.rpartition("/")[2], "message": message, "request_pointer": pointer})


class MandateInactive(Invalid):
    """Payments cannot be created under a mandate in this state."""

    def __init__(self, status: str) -> None:
        super().__init__(
            {
                "reason": "mandate_is_inactive",
                "field": "mandate",
                "message": f"is {status}, so no payment can be created under it",
                "request_pointer": "/payments/links/mandate",
            }
        )
