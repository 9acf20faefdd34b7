"""An approval of its hash in the store."""

from typing import cast

import msgspec
from msgspec.structs import replace

from app.durable.approvals.record import Approval, ApprovalStatus
from app.durable.record import Fields

_decode = msgspec.json.Decoder(Approval).decode


def approval_of(fields: Fields) -> Approval:
    """Raises msgspec.DecodeError for what is asked in the words of another version."""
    return replace(
        _decode(fields[b"asked"]),
        status=cast(ApprovalStatus, fields[b"status"].decode()),
        created_at=int(fields[b"created"]) / 1_000_000,
        decided_by=fields[b"by"].decode(),
        decided_at=int(fields[b"decided"]) / 1_000,
        comment=fields[b"comment"].decode(),
    )
