"""SAQ's queue on the Redis protocol, from which a job is taken and gone in one step; SAQ's own way takes eight commands
and a millisecond of CPU, to keep what the run's record keeps."""

from redis.asyncio import Redis
from saq.job import Job
from saq.queue.redis import RedisQueue

_TAKE = """
local job = redis.call('LPOP', KEYS[1])
if job then
    redis.call('ZREM', KEYS[2], job)
    redis.call('DEL', job)
end
return job
"""
_CLEAR = """
redis.call('LREM', KEYS[1], 1, KEYS[3])
redis.call('ZREM', KEYS[2], KEYS[3])
redis.call('DEL', KEYS[3])
"""


class BellQueue(RedisQueue):
    def __init__(self, redis: Redis, name: str) -> None:
        super().__init__(redis, name, max_concurrent_ops=1)
        self._take_script = redis.register_script(_TAKE)
        self._clear_script = redis.register_script(_CLEAR)

    async def notify(self, job: Job) -> None:
        """Nobody listens."""

    async def take(self, patience: float) -> str | None:
        """The key of the first job, which is off the queue then. Waits so many seconds for one; 0: not at all."""
        found = await self._take_script(keys=[self._queued, self._incomplete])
        if found is None and patience:
            found = await self.redis.blmove(self._queued, self._active, patience, "LEFT", "RIGHT")  # type: ignore[arg-type] # fractions are taken
            if found is not None:
                await self._clear_script(keys=[self._active, self._incomplete, found])
        return None if found is None else self.job_key_from_id(found.decode())
