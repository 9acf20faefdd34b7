"""How this service's own API answers errors."""

import msgspec

from app.errors import AppError
from app.runs.problems import document

MEDIA_TYPE = "application/problem+json"


class NativeProblems:
    """Writes errors as problem documents."""

    problem_type = MEDIA_TYPE

    def problem(self, error: AppError, path: str) -> tuple[int, bytes]:
        return error.status, msgspec.json.encode(document(error, path))


NATIVE_PROBLEMS = NativeProblems()
