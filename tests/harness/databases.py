"""Databases for tests: one per service, each with a login of its own, on the server of the run."""

import secrets
from urllib.parse import urlsplit

from shared.provision import provision


class Databases:
    """Names and makes the databases of one set of services; a prefix lets several sets live side by side."""

    def __init__(self, admin_url: str, prefix: str) -> None:
        self.admin_url, self.prefix = admin_url, prefix
        self._password = secrets.token_urlsafe(16)

    def url(self, service: str) -> str:
        server = urlsplit(self.admin_url)
        name = f"{self.prefix}_{service}"
        return f"postgresql://{name}:{self._password}@{server.hostname}:{server.port or 5432}/{name}"

    async def make(self, *services: str) -> None:
        await provision(self.admin_url, {service: self.url(service) for service in services})
