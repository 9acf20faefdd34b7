"""Logs, metrics, traces, and the ids that tie them to one request."""
