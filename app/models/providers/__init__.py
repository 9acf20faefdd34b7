"""The adapters of model servers, and what they share: HTTP, server-sent events, failures, refused parameters."""
