"""What happens in a run: from its admission to its last event."""
