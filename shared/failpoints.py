"""Places where a test can make the process die, as `kill -9` would: `PUNCHCARD_FAILPOINT=relay.published:3`.

Of `@file`, the file says which: so death comes to a process that has long been running well.
"""

import os
from pathlib import Path

_wanted = os.environ.get("PUNCHCARD_FAILPOINT", "")
_passed = 0


def hit(name: str) -> None:
    """Die here, without any clean-up, at the n-th pass of the point that is wanted."""
    global _passed
    if not _wanted:
        return
    point, _, nth = (Path(_wanted[1:]).read_text() if _wanted.startswith("@") else _wanted).partition(":")
    if name == point:
        _passed += 1
        if _passed == int(nth or 1):
            os._exit(137)
