"""Submit a run, and cancel one: a request, and its answer in a word."""

import asyncio
import uuid
from collections.abc import Mapping

from app.progress.printable import on_one_line
from app.progress.service import Refused, Service, Unreachable

_TRIES = 3


async def submit(service: Service, message: str, fields: Mapping[str, str]) -> int:
    """Print the new run's id; returns the exit status. Tried again it is the same run, by its Idempotency-Key."""
    key = str(uuid.uuid4())
    for left in reversed(range(_TRIES)):
        try:
            run = await service.post("/runs", {"message": message, **fields}, **{"Idempotency-Key": key})
            break
        except Unreachable as error:
            if not left:
                raise
            await asyncio.sleep(max(error.retry_after, 0.5))
    print(on_one_line(run["run_id"]))  # noqa: T201
    return 0


async def cancel(service: Service, path: str) -> int:
    """Print the state that follows; returns the exit status, 1 when it was over before."""
    try:
        told = await service.post(f"{path}/cancel")
    except Refused as error:
        if error.status != 409:
            raise
        print(on_one_line(str(error.problem.get("detail"))))  # noqa: T201
        return 1
    print(on_one_line(told["status"]))  # noqa: T201
    return 0
