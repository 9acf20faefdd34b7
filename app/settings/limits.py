"""Settings of rate limits and budgets."""

from typing import Literal

from pydantic import BaseModel, Field

from app.settings.kinds import Rate, Share, Tokens, Usd


class LimitSettings(BaseModel):
    limits: str = Field(
        "",
        description="Maximum requests a minute and runs at once, as JSON: "
        '`{"global": LIMIT, "tiers": {NAME: {"user": LIMIT, "chat": LIMIT, "agent": LIMIT, "sessions": LIMIT, '
        '"usage": LIMIT, "feedback": LIMIT, "runs": LIMIT, "tools": {NAME: LIMIT}}}}`, all optional, each LIMIT '
        '`{"per_minute": N, "concurrent": N}`; '
        "callers without credentials have the tier `anonymous`, users without a tier `default`, which stands for each "
        "tier not named, as the tool `*` does for tools",
    )
    anonymous_per_minute: Rate = Field(
        6000,
        description="Requests a minute of one address without credentials to each process; `off`: any number",
    )
    anonymous_concurrent: Rate = Field(
        100,
        description="Requests at once of one address without credentials in each process; `off`: any number",
    )
    refused_per_minute: Rate = Field(
        3000,
        description="Refused requests a minute of one address or authenticated user to each process, 8 KiB of a body "
        "counting as one more; above that all are answered 429 unread; `off`: any number",
    )
    budget_user_day_usd: Usd = Field(None, description="Maximum that a user may spend in a UTC day, in US dollars")
    budget_user_day_tokens: Tokens = Field(None, description="Maximum tokens a user may use in a UTC day")
    budget_team_month_usd: Usd = Field(None, description="Maximum that a team may spend in a UTC month, in US dollars")
    budget_team_month_tokens: Tokens = Field(None, description="Maximum tokens a team may use in a UTC month")
    budget_global_day_usd: Usd = Field(
        100, description="Maximum that all together may spend in a UTC day, in US dollars; `off`: no such budget"
    )
    budget_global_day_tokens: Tokens = Field(None, description="Maximum tokens all together may use in a UTC day")
    budget_anonymous_share: Share = Field(
        0.25,
        description="Share of the budgets of all together that one address without credentials may use; `off`: all",
    )
    limits_fail: Literal["open", "closed"] | None = Field(
        None,
        description="When the store does not answer: `open` continues without limits, `closed` answers 503. "
        "Unset: closed for what a budget has to admit, else open",
    )
    lease_seconds: float = Field(
        45, ge=1, le=60, description="After how long what a dead process held for its runs is free again"
    )
    usage_days: int = Field(
        35, ge=0, le=400, description="How many days the usage of each user is kept; 0 records none"
    )
