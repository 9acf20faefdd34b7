"""Takes secrets and personal data out of all that leaves a run: rules as data, one scanner, a filter for streams."""
