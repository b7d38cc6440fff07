"""An operator's hand: the commands of `python -m services`, as they are typed."""

import argparse
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

from deploy.local.running.issuer import Issuer
from services.commands import Site, add_commands
from shared.service import Service
from shared.settings import DEVELOPMENT_ISSUER, Settings


@dataclass(frozen=True)
class Hand:
    """What it types is done to these services."""

    site: Site

    async def __call__(self, *words: str) -> str:
        """Type a command; what it said."""
        parser = argparse.ArgumentParser()
        add_commands(parser.add_subparsers(), self.site.services)
        asked = parser.parse_args(words)
        with redirect_stdout(StringIO()) as said:
            await asked.command(asked, self.site)
        return said.getvalue()


def hand(
    services: Mapping[str, Service],
    urls: Mapping[str, str],
    issuer: Issuer,
    **settings: Any,
) -> Hand:
    usual = {"environment": "development", "bus_url": "local:", "token_issuer": DEVELOPMENT_ISSUER}
    configured = Settings(database_url=dict(urls), jwks=str(issuer.jwks), **usual | settings)
    return Hand(Site(services, configured))
