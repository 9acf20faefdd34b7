"""Tools in a process of their own: one for each call, without anything of the service."""
