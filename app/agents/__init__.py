"""What kind of run it is: an agent has a prompt and tools."""
