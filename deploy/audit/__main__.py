"""`python -m deploy.audit`: audit every business, once or each night; says what is wrong and names the event.

Reads PUNCHCARD_DATABASE_URL__<SERVICE> of the six services, or files of these names in --secrets, as the services do.
Ends with 0 where all is well, with 1 where something was found.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from deploy.audit.auditing import AGAIN_AFTER_SECONDS, audit_all
from deploy.audit.books import BankLog
from deploy.audit.reading import SERVICES
from shared.housekeeping import LOG_DAYS

GRACE_MINUTES = 15


def main(arguments: Sequence[str]) -> int:
    """Read the command line, audit, and tell."""
    parser = argparse.ArgumentParser(prog="python -m deploy.audit", description=__doc__)
    parser.add_argument("--secrets", type=Path, help="a folder with a file per secret setting")
    parser.add_argument("--bank-log", type=Path, help="the provider's log: JSON, a list of payments with their history")
    parser.add_argument("--log-days", type=int, default=LOG_DAYS, help="for how long the event logs are kept")
    parser.add_argument("--grace", type=int, default=GRACE_MINUTES, help="minutes that an event may be on its way")
    parser.add_argument(
        "--again-after", type=float, default=AGAIN_AFTER_SECONDS, help="seconds until a finding is looked at again"
    )
    asked = parser.parse_args(arguments)
    urls = database_urls(os.environ, asked.secrets)
    if missing := [name for name in SERVICES if name not in urls]:
        parser.error(f"set {', '.join(f'PUNCHCARD_DATABASE_URL__{name.upper()}' for name in missing)}")
    log = json.loads(asked.bank_log.read_text()) if asked.bank_log else None
    given = None if log is None else BankLog(log["payments"] if isinstance(log, dict) else log)

    async def bank_log(_: object) -> BankLog | None:
        return given

    grace = timedelta(minutes=asked.grace)
    return asyncio.run(audit_all(urls, bank_log, log_days=asked.log_days, grace=grace, again_after=asked.again_after))


def database_urls(environment: Mapping[str, str], secrets: Path | None) -> dict[str, str]:
    """The six databases, as the environment or a folder of secrets names them."""
    found = {}
    for name in SERVICES:
        setting = f"PUNCHCARD_DATABASE_URL__{name.upper()}"
        file = secrets / setting.lower() if secrets else None
        if setting in environment:
            found[name] = environment[setting]
        elif file and file.exists():
            found[name] = file.read_text().strip()
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
