"""TEMPORARY."""

from app.durable.record import Claim, Work


class Worker:
    def begin(self, claim: Claim, work: Work) -> None:
        raise NotImplementedError
