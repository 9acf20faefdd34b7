"""Whom limits, budgets and usage are counted for."""

from app.access.principal import Principal


def subject_of(principal: Principal) -> str:
    """What a caller's limits and budgets are counted under.

    Callers who are not authenticated count by their address: any name they give may be made up.
    """
    if principal.authenticated:
        return f"user:{principal.user}"
    return f"address:{principal.address or 'unknown'}"


def usage_name(principal: Principal) -> str:
    """What usage is kept under, as usage.lua takes it: names that may be made up are kept within their address's."""
    return principal.user if principal.authenticated else f"{subject_of(principal)} {principal.user}"
