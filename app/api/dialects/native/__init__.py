"""This service's own API: strict requests, numbered server-sent events, problem documents (RFC 9457)."""
