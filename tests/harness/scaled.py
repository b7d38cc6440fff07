"""A system of a process for each service, some of them several times, behind the gateway."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploy.local.fleet import Fleet, behind_gateway
from deploy.local.system import APART, system
from shared.ids import new_id


@contextmanager
def scaled(folder: Path, postgres_url: str, amqp_url: str, scale: Mapping[str, int]) -> Iterator[Fleet]:
    """Run it until the block is left; beside others, on servers that they share."""
    prefix = f"scaled_{new_id().hex[-8:]}"
    with (
        system(folder, postgres_url, amqp_url, groups=APART, start=False, prefix=prefix) as made,
        behind_gateway(made, scale) as launched,
    ):
        yield launched
