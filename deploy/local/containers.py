"""A server in Docker, for machines that have Docker and not the server."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploy.local.servers import NoServer, ServerFailed, note


@contextmanager
def container(
    image: str, port: int, *, env: Mapping[str, str], command: str = "", volume: tuple[Path, str] | None = None
) -> Iterator[tuple[str, int]]:
    """Start a container of `image`; its `port` is reached at the host and port yielded. Docker removes it if we die."""
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
        yield started.get_container_host_ip(), started.get_exposed_port(port)
    finally:
        started.stop()
