"""What was published is sent again by one command, and changes nothing."""

import asyncio
import sys

from tests.harness.studio import FRIDAY, Studio, days
from tests.stories.test_selling import PAID_IN_FULL


async def test_a_replay_of_the_log_changes_nothing(studio: Studio) -> None:
    package_id = await studio.sell(await studio.template(**PAID_IN_FULL))
    await studio.cancel(await studio.book(package_id, FRIDAY + days(1)))
    await studio.book(package_id, FRIDAY + days(2))
    before = await studio.package(package_id)
    for service in ("booking", "packages"):
        command = (sys.executable, "-m", "services", "replay", service, "--since", "1 hour")
        process = await asyncio.create_subprocess_exec(
            *command, env=studio.system.environment, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await process.communicate()
        assert process.returncode == 0
        assert said.endswith(b"facts wait to be sent again\n")
    assert await studio.package(package_id) == before
    assert before["held"] == 1
