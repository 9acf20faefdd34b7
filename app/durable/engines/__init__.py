"""Doorbells: how a worker learns of a run that is due. See engine.py."""
