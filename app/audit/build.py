"""The record of a process: its parts, and what goes on in the background."""

import asyncio
from contextlib import suppress

from app.audit.recorder import Recorder
from app.audit.retention import MOST_IN_PROCESS, Retention
from app.audit.sealing import Sealing
from app.audit.stream import Stream
from app.audit.writer import Writer
from app.settings import Settings
from app.state.store import Store


class Recording:
    """Built once a process, where AUDIT is true; `run` goes on in the background."""

    def __init__(self, settings: Settings, store: Store) -> None:
        """Raises ConfigurationError for an AUDIT_KEY_FILE that cannot be used."""
        stream = Stream(store, settings.audit_days)
        self.audit = Recorder(Writer(stream))
        self.sealing = Sealing(self.audit, settings.audit_key_file, settings.audit_head_seconds)
        most = settings.audit_records if settings.redis_url else min(settings.audit_records, MOST_IN_PROCESS)
        self.retention = Retention(stream, self.sealing, most=most)

    async def run(self) -> None:
        """Sign heads and trim, until cancelled."""
        self.audit.begin()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.sealing.run())
            group.create_task(self.retention.run())

    async def aclose(self) -> None:
        """Append what is waiting, and sign the last head."""
        await self.audit.aclose()
        with suppress(Exception):
            await self.sealing.aclose()
