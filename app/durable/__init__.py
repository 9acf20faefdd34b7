"""Runs that outlive a request: their record in the store is the truth, the queue a doorbell, workers come and go."""
