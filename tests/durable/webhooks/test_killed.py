"""A process that delivers is killed."""

import asyncio
import sys
from pathlib import Path

from aiohttp import web

from app.state.redis import connect
from tests.durable.webhooks.stage import Receiver, delivering, ended, secrets, settled, webhooks
from tests.redis_server import RedisServer
from tests.service import REPOSITORY


async def test_what_was_sent_and_not_noted_is_sent_again_by_another_process_with_the_same_id(
    redis_server: RedisServer, receiver: Receiver, tmp_path: Path
) -> None:
    redis_server.ask("FLUSHALL")
    folder, store = secrets(tmp_path / "s"), connect(redis_server.url)
    command = (sys.executable, "-m", "tests.durable.webhooks", redis_server.url, str(folder))
    process = await asyncio.create_subprocess_exec(*command, cwd=REPOSITORY, stdout=asyncio.subprocess.DEVNULL)

    async def kill(_: web.Request) -> web.Response:
        """The receiver has it, and its answer never arrives."""
        process.kill()
        await process.wait()
        return web.Response(status=204)

    receiver.answers = [kill]
    record = await ended(store, receiver.url())
    await receiver.hears(1)
    second = webhooks(store, folder, lease_seconds=1)
    async with delivering(second):
        delivery = await settled(second, record, "delivered")
    await process.wait()
    await store.aclose()
    assert receiver.ids() == [record.work.run_id] * 2
    assert receiver.events()[0] == receiver.events()[1]
    assert [each.status for each in delivery.log] == [204]
