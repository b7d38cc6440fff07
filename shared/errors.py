"""What can go wrong, as classes: the docstring is the message, the name the code, the parent the HTTP status.

Rules and actions raise them; `shared.http` turns them into problem documents (RFC 9457), and the inbox into a
refusal that no retry can help.
"""

import re
from typing import Any, ClassVar


class Problem(Exception):
    """Something went wrong."""

    status: ClassVar[int] = 500

    def __init__(self, detail: str | None = None, **members: Any) -> None:
        """`detail` says what to do about this one occurrence; `members` are further fields of the document."""
        super().__init__(detail or self.title())
        self.detail = detail
        self.members = members

    @classmethod
    def code(cls) -> str:
        """`NotBooked` → `not-booked`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()

    @classmethod
    def title(cls) -> str:
        return (cls.__doc__ or "").strip().splitlines()[0]


class Malformed(Problem):
    """The request cannot be read."""

    status = 400


class Unauthenticated(Problem):
    """A valid access token is needed."""

    status = 401


class Forbidden(Problem):
    """The token does not carry the permission that this needs."""

    status = 403


class NotFound(Problem):
    """There is no such thing in this business."""

    status = 404


class Conflict(Problem):
    """This cannot be done in the present state."""

    status = 409


class TooLarge(Problem):
    """The request body is larger than this endpoint accepts."""

    status = 413


class Invalid(Problem):
    """A field of the request is not acceptable."""

    status = 422


class Unavailable(Problem):
    """The service cannot answer now. Repeat the request with its Idempotency-Key: it is done once."""

    status = 503


class NotYetKnown(Conflict):
    """This service has not heard of it yet, or it does not exist. Try again in a second."""

    def __init__(self, kind: str, id: object) -> None:
        super().__init__(f"No {kind} {id} is known here yet.", kind=kind)


def told(error: BaseException) -> str:
    """What a log may say of an error: our own words in full, of others only the kind, for they may quote data."""
    ours = type(error).__module__.startswith(("shared.", "services."))
    return f"{type(error).__name__}: {error}" if ours else type(error).__name__


class Later(Exception):
    """A handler's word for: what this event builds on has not arrived yet; bring it again soon."""


class Reject(Exception):
    """A handler's word for: no retry can help this event; park it for a person."""
