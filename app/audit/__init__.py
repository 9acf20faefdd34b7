"""Who did what on what, and what was decided: an append-only record with a hash chain and signed heads."""
