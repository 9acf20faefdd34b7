"""Keys of batches in the store. All have the hash tag of limits: one script writes results and settles them."""

from app.limits.checks import TAG

DUE = f"{TAG}batches:due"
"""Sorted: ids of batches that are not over, by the time (ms) of their next step."""

BATCH = f"{TAG}batch:"


def batch_key(batch_id: str) -> str:
    """A hash: the record."""
    return f"{BATCH}{batch_id}"


def inputs_key(batch_id: str) -> str:
    """A list: the inputs, as JSON."""
    return f"{BATCH}{batch_id}:inputs"


def results_key(batch_id: str) -> str:
    """A hash: results as JSON, by the input's place from 0."""
    return f"{BATCH}{batch_id}:results"


def portions_key(batch_id: str) -> str:
    """A hash: portions at the provider as JSON, by number, and what is reserved for each (`NUMBER:held`)."""
    return f"{BATCH}{batch_id}:portions"


def keys_of(batch_id: str) -> tuple[str, str, str, str, str]:
    """As the scripts take them."""
    return batch_key(batch_id), results_key(batch_id), portions_key(batch_id), DUE, inputs_key(batch_id)


def owner_key(owner: str) -> str:
    """Sorted: an owner's batches by the time of their creation."""
    return f"{TAG}batches:{owner}"


def provider_key(provider_id: str) -> str:
    """A text: the portion that a provider's batch is, as `BATCH.NUMBER`."""
    return f"{TAG}batch-at-provider:{provider_id}"
