"""`python -m app runs …`: runs of a service at a URL, watched, listed and cancelled by people."""
