"""What directdebit refuses."""

from shared.errors import Conflict, Invalid, Problem


class NotSigned(Problem):
    """The signature of this callback is not valid."""

    status = 498


class NoProvider(Conflict):
    """The business has no account with the provider yet; connect it first."""


class DebitsUnderWay(Conflict):
    """Debits or mandates are under way at the account that is connected; another could not tell what became of them."""


class MandateInUse(Invalid):
    """This mandate of the provider belongs to another payer."""


class NewSecretFirst(Invalid):
    """A new callback secret goes first, the one in use second: else nobody can tell when the old one is out of use."""


class NothingDue(Conflict):
    """Nothing is due that could be debited."""


class RunIsOpen(Conflict):
    """A run is open already; confirm or cancel it first."""


class NotListed(Conflict):
    """This run is not open any more."""


class NothingToRetry(Conflict):
    """Nothing of this instalment waits to be tried again."""
