"""Models that need no server: for a first try, and for tests."""
