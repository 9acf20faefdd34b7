"""What outlives a run, on the Redis protocol: Valkey or Redis, or an in-process server of the same protocol."""
