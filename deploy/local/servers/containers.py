"""A server in Docker, for machines that have Docker and not the server."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.servers import NoServer, ServerFailed, last_line, note


@dataclass(frozen=True)
class Container:
    """Where a container is reached, and the last line it logged."""

    host: str
    port: int
    last_words: Callable[[], str]


@contextmanager
def container(
    image: str, port: int, *, env: Mapping[str, str], command: str = "", volume: tuple[Path, str] | None = None
) -> Iterator[Container]:
    """Start a container of `image`, whose `port` is published. Its reaper removes it even if we are killed."""
    # Imported here: the two take longer to load than most commands take to run.
    from docker import from_env
    from docker.errors import DockerException
    from testcontainers.core.container import DockerContainer

    try:
        from_env().ping()
    except DockerException:
        raise NoServer("no Docker engine answers") from None
    note(f"starting {image} in Docker, after pulling it if need be")
    wanted = DockerContainer(image).with_exposed_ports(port).with_envs(**env)
    if command:
        wanted = wanted.with_command(command)
    if volume:
        wanted = wanted.with_volume_mapping(*volume, mode="rw")
    try:
        started = wanted.start()
    except (DockerException, OSError, TimeoutError) as error:
        raise ServerFailed(f"Docker did not start {image}: {error}") from error
    try:
        yield Container(
            started.get_container_host_ip(),
            started.get_exposed_port(port),
            lambda: last_line(b"\n".join(started.get_logs()).decode(errors="replace")),
        )
    finally:
        started.stop()
