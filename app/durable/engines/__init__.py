"""The queues that there are: in this process, and SAQ's on the Redis protocol and on PostgreSQL."""
