"""Tools of MCP servers: what a server offers is pinned by a person, and is off when it is not what was pinned."""
