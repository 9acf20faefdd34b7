"""HTTP: each file translates one resource's requests into a run and its events back."""
