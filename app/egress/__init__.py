"""HTTP requests to addresses that callers name: they reach the public internet and no other network."""
