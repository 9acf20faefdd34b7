"""Tells other services how runs ended: Standard Webhooks, from an outbox in the store."""
