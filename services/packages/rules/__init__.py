"""What packages allows. Nothing here waits: a rule takes rows and values, and returns a fact or raises."""

from shared.errors import Conflict, Invalid


class NotForSale(Invalid):
    """This package cannot be sold so."""


class NotActive(Conflict):
    """The package is closed."""
