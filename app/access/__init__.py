"""Who is calling: credentials, the principal they make, and where a request came from."""
