"""Many regular expressions as one Hyperscan database, compiled once for a machine and not once for a process."""
