"""What is in hand when a process leaves is finished first: half done it would wait for a lease, or come again."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
IN_HAND_SECONDS = 15


async def finished(doing: Coroutine[Any, Any, T]) -> T:
    """Await something; when told to end meanwhile, end only when it is done, or its time is up."""
    task = asyncio.create_task(doing)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=IN_HAND_SECONDS)
        raise
