"""Settings of what may come in, go out and be done: guards, redaction, tools, approvals, audit."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr

from app.settings.kinds import GIB, Hosts, Kinds, Paths, Seconds, ToolNames


class SafetySettings(BaseModel):
    guard_input: Literal["block", "flag", "off"] = Field(
        "block",
        description="What becomes of input that a rule finds unsafe: it is refused where the rule is precise enough, "
        "only noted, or not looked at. Agents may choose for themselves",
    )
    guard_rules_dir: Path | None = Field(
        None, description="Folder with further rules for input, `*.yaml`. See docs/safety.md"
    )
    guard_model: str | None = Field(
        None,
        description="Reference of a model that judges input, such as `ollama/llama-guard3:1b`, beside the model call; "
        "unset: none does",
    )
    guard_model_seconds: float = Field(
        1.5, ge=0.05, le=60, description="How long the first text waits for the verdict of GUARD_MODEL"
    )
    guard_model_required: bool = Field(
        False, description="Whether a run ends when that time is over without a verdict, instead of going on"
    )
    redact: Kinds = Field(
        ("secrets", "cards", "ibans", "national-ids"),
        description="What is taken out of all that leaves a run, comma-separated: secrets, cards, ibans, national-ids, "
        "emails, phones; or none",
    )
    redaction_rules_dir: Path | None = Field(
        None, description="Folder with further rules for secrets, `*.yaml`. See docs/safety.md"
    )
    tools: ToolNames = Field(
        ("calculator", "clock"),
        description="Tools that agents have unless their files say otherwise, comma-separated (`files__*` stands for "
        "all whose names begin so); or none",
    )
    when_tainted: Literal["approve", "off", "allow"] = Field(
        "approve",
        description="What becomes of a tool that does more than read once a run has seen content that nobody vouches "
        "for: a person approves the call, there is none, or it is made. Tools and agents may choose for themselves",
    )
    approve_risk: Literal["low", "medium", "high", "never"] = Field(
        "high", description="From which risk of a tool on a person approves each call"
    )
    approval_seconds: int = Field(
        3_600, ge=1, le=604_800, description="How long a call waits for a person's decision before it expires"
    )
    http_get_hosts: Hosts = Field(
        (),
        description="Hosts beside those with public addresses that the tool `http_get` may ask, comma-separated; "
        "`.internal` stands for all hosts below it",
    )
    http_get_bytes: int = Field(1_048_576, ge=1024, le=GIB, description="Maximum size of an answer to `http_get`")
    http_get_seconds: Seconds = Field(10, description="Deadline of a request of `http_get`, redirects included")
    read_file_roots: Paths = Field(
        (),
        description="Folders below which the tool `read_file` may read, comma-separated; unset: there is no such tool",
    )
    sql_query_url: SecretStr | None = Field(
        None,
        description="Database of the tool `sql_query`, `postgresql://` or `sqlite:///`, as a user who may only read; "
        "unset: there is no such tool",
    )
    sql_query_rows: int = Field(100, ge=1, le=100_000, description="Maximum rows of an answer to `sql_query`")
    sql_query_seconds: Seconds = Field(10, description="Deadline of a query of `sql_query`")
    mcp_servers_file: Path | None = Field(
        None, description="File that names the MCP servers whose tools agents may have. See docs/mcp.md"
    )
    mcp_stdio: bool = Field(False, description="Whether MCP_SERVERS_FILE may name programs to start (stdio), too")
    tool_process_bytes: int = Field(
        536_870_912, ge=67_108_864, le=64 * GIB, description='Maximum memory of a tool with `isolation="process"`'
    )
    tool_process_cpu_seconds: int = Field(
        30, ge=1, le=3_600, description='Maximum CPU time of a call of a tool with `isolation="process"`'
    )
    audit: bool = Field(
        True, description="Whether refusals, tool calls, approvals and administration are put on record"
    )
    audit_days: int = Field(90, ge=1, le=3_650, description="How long the record is kept in the store")
    audit_records: int = Field(
        1_000_000,
        ge=1_000,
        le=1_000_000_000,
        description="Maximum of records kept in the store, about 0.5 KB each; of more the oldest go before their time. "
        "Without REDIS_URL 10,000 at most",
    )
    audit_head_seconds: int = Field(
        60, ge=1, le=3_600, description="How often the signed head of the record is written to the log"
    )
    audit_key_file: Path | None = Field(
        None,
        description="File with the Ed25519 private key (PEM) that heads are signed with; unset: one of the process",
    )
