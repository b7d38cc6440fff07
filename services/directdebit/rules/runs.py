"""Process Billing: the list of all that is due is made, confirmed and sent, or taken back (CC-31, CC-33)."""

from services.directdebit.rules.errors import NotListed
from services.directdebit.tables.collections import Run, RunCancelled, RunConfirmed


def confirm(run: Run, *, by: str) -> RunConfirmed:
    """What is listed goes out. Raises NotListed."""
    if run.state != "listed":
        raise NotListed(f"It is {run.state}.")
    return RunConfirmed(by)


def cancel(run: Run) -> RunCancelled:
    """What is listed does not go out, and stays due. Raises NotListed."""
    if run.state != "listed":
        raise NotListed(f"It is {run.state}.")
    return RunCancelled()
