"""A TCP proxy on loopback that can be frozen (a black hole) or cut (a reset), for tests of lost connections."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class Proxy:
    """Passes bytes both ways until told otherwise."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.target = host, port
        self.open = asyncio.Event()
        self.open.set()
        self._flows: set[asyncio.StreamWriter] = set()
        self.port = 0

    def freeze(self) -> None:
        """Nothing passes, and nothing is closed: what a lost network looks like."""
        self.open.clear()

    def thaw(self) -> None:
        """New connections pass again; the frozen ones never come back."""
        for writer in self._flows:
            writer.transport.abort()
        self._flows.clear()
        self.open.set()

    cut = thaw
    """Reset every connection there is."""

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.open.wait()
        try:
            there, back = await asyncio.open_connection(self.host, self.target)
        except OSError:  # the server is away: so is its line
            writer.transport.abort()
            return
        self._flows |= {writer, back}
        await asyncio.gather(self._pump(reader, back), self._pump(there, writer), return_exceptions=True)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                await self.open.wait()
                if writer not in self._flows:
                    break
                writer.write(data)
                await writer.drain()
        finally:  # also when the other end was killed, and reset it
            writer.close()


@asynccontextmanager
async def proxy(url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy before the server of a URL, and the URL that leads through it."""
    parts = urlsplit(url)
    made = Proxy(parts.hostname or "127.0.0.1", parts.port or 5672)
    server = await asyncio.start_server(made.accept, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    user = f"{parts.username}:{parts.password}@" if parts.username else ""
    try:
        yield made, parts._replace(netloc=f"{user}127.0.0.1:{made.port}").geturl()
    finally:
        server.close()
        made.thaw()
