"""Many inputs at once: through a provider's batch API, or as runs of low priority."""
