"""Durable runs as the API knows them: submit, begin here, read, list, follow, cancel."""
