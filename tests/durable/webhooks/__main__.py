"""A process that delivers webhooks until it is killed: `python -m tests.durable.webhooks REDIS_URL SECRETS_DIR`."""

import asyncio
import sys
from pathlib import Path

from app.state.redis import connect
from tests.durable.webhooks.stage import delivering, webhooks


async def main(redis_url: str, folder: str) -> None:
    async with delivering(webhooks(connect(redis_url), Path(folder), lease_seconds=1)):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
