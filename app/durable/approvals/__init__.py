"""Calls of tools that wait for a person: what is asked, who decides, and that each decision counts once."""
