"""Places where a test can make the process die, as `kill -9` would: `PUNCHCARD_FAILPOINT=relay.published:3`."""

import os

_name, _, _count = os.environ.get("PUNCHCARD_FAILPOINT", "").partition(":")
_left = int(_count or 1)


def hit(name: str) -> None:
    """Die here, without any clean-up, at the n-th pass of the point that the environment names."""
    global _left
    if name == _name:
        _left -= 1
        if _left == 0:
            os._exit(137)
