"""Writes what the chart says about the plain settings of app/settings; with --check, only says whether it is stale.

A setting is plain where a value of the chart becomes it unchanged: a new one needs no line here. Its value is called
like it (MAX_TOKENS: maxTokens) and stands in values.yaml between the two marks, with the setting's default and
description; its schema comes from its type and bounds, and files/settings.json says to the templates which setting it
becomes, and which settings `off` switches off. A value outside the marks keeps its place, text and schema.
"""

import json
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

import yaml
from pydantic import SecretStr

from app.models.tiers import TIERS
from app.settings import Settings

Json = dict[str, Any]

CHART = Path(__file__).parent.parent / "charts" / "agent-api"
VALUES, SCHEMA, MAP = CHART / "values.yaml", CHART / "values.schema.json", CHART / "files" / "settings.json"
BEGIN = "# ---- Settings of the service: made from app/settings by make helm-docs "
END = "# ---- End of what is made from app/settings "

# Plain settings whose values stand in a group or have another name; both are written by hand.
NAMED = {
    "ollama_num_ctx": "ollama.numCtx",
    "ollama_keep_alive": "ollama.keepAlive",
    "anthropic_base_url": "anthropic.baseUrl",
    "openai_base_url": "openai.baseUrl",
    "jwt_scope_claim": "auth.jwt.scopeClaim",
    "jwt_team_claim": "auth.jwt.teamClaim",
    "jwt_tier_claim": "auth.jwt.tierClaim",
}

# Schemas of settings that the chart takes as maps, where the values of these are no maps.
OBJECTS: dict[str, Json] = {
    "model_tiers": {
        "type": "object",
        "additionalProperties": False,
        "properties": {tier: {"type": "string"} for tier in TIERS},
    }
}

# Settings that the templates make from other values, or from what the pod is.
COMPOSED = frozenset(
    {
        "host",
        "port",
        "metrics_port",
        "models",
        "ollama_api_base",
        "anthropic_api_key",
        "openai_api_key",
        "redis_url",
        "redis_ca_file",
        "run_queue_url",
        "webhook_secrets_dir",
        "guard_rules_dir",
        "redaction_rules_dir",
        "sql_query_url",
        "mcp_servers_file",
        "audit_key_file",
        "auth",
        "api_keys_file",
        "jwt_issuer",
        "jwt_audience",
        "jwt_algorithms",
        "jwt_secret",
        "jwt_public_key",
        "jwt_jwks_url",
        "jwt_jwks_allow_http",
        "limits",
        "budget_user_day_usd",
        "budget_user_day_tokens",
        "budget_team_month_usd",
        "budget_team_month_tokens",
        "budget_global_day_usd",
        "budget_global_day_tokens",
        "system_prompt",
        "system_prompt_file",
        "agents_dir",
    }
)


def plain() -> dict[str, str]:
    """The value of each plain setting, by the setting's name. Raises ValueError for a secret: it needs a template."""
    found = {}
    for name, field in Settings.model_fields.items():
        if name in COMPOSED:
            continue
        if "SecretStr" in str(field.annotation) or field.annotation is SecretStr:
            raise ValueError(f"{name} is a secret: it needs a reference in the templates, and a place in COMPOSED")
        found[name] = NAMED.get(name) or re.sub(r"_(.)", lambda match: match[1].upper(), name)
    return found


def made() -> dict[str, str]:
    """The plain settings whose values are made here: those that nothing outside the marks documents."""
    head, _, tail = parts(VALUES.read_text())
    by_hand = yaml.load(head + tail, yaml.CSafeLoader)
    return {name: value for name, value in plain().items() if "." not in value and value not in by_hand}


def parts(text: str) -> tuple[str, str, str]:
    """What stands above the marks, between them and below, the marks' own lines with the outer parts."""
    begin = text.index("\n", text.index(BEGIN)) + 1
    end = text.index(END)
    return text[:begin], text[begin:end], text[end:]


def switches_off(name: str) -> bool:
    """Whether the setting takes `off`, which YAML reads as false unless it is quoted."""
    return "`off`" in str(Settings.model_fields[name].description)


def default(name: str) -> Any:
    value = Settings.model_fields[name].get_default()
    if takes_object(name):
        return {}
    if value is None:
        return "" if schema(name).get("type") == "string" else None
    return list(value) if isinstance(value, tuple) else value


def takes_object(name: str) -> bool:
    """Whether the setting is a text of JSON, which the chart takes as a map."""
    field = Settings.model_fields[name]
    return field.annotation is str and "as JSON" in str(field.description)


def schema(name: str) -> Json:
    """The setting's JSON schema, where the empty string or null stands for None."""
    if takes_object(name):
        return OBJECTS.get(name, {"type": "object", "additionalProperties": {"type": "object"}})
    given = dict(Settings.model_json_schema()["properties"][name])
    choices = [one for one in given.pop("anyOf", [given]) if one.get("type") != "null"]
    found = {
        key: value for key, value in choices[0].items() if key not in ("title", "description", "default", "format")
    }
    if Settings.model_fields[name].get_default() is None:
        if found["type"] != "string":
            found["type"] = [found["type"], "null"]
        elif "enum" in found:
            found["enum"] = ["", *found["enum"]]
    return {"anyOf": [found, {"enum": ["off", False]}]} if switches_off(name) else found


def entry(name: str, value: str) -> str:
    """The lines of values.yaml for a setting."""
    text = str(Settings.model_fields[name].description)
    comment = f"{value} is {name.upper()}: {text[0].lower()}{text[1:]}."
    lines = textwrap.wrap(comment, 116, break_long_words=False, break_on_hyphens=False)
    return "\n".join([*(f"# {line}" for line in lines), f"{value}: {json.dumps(default(name))}\n"])


def fresh() -> dict[Path, str]:
    """The three files as they should be."""
    head, _, tail = parts(VALUES.read_text())
    block = "".join(entry(name, value) for name, value in made().items())
    whole = json.loads(SCHEMA.read_text())
    known = yaml.load(head + block + tail, yaml.CSafeLoader).keys() | {"global", "enabled"}
    whole["properties"] = {name: one for name, one in whole["properties"].items() if name in known}
    whole["properties"] |= {value: schema(name) for name, value in made().items()}
    return {
        VALUES: f"{head}{block}{tail}",
        SCHEMA: json.dumps(whole, indent=2, ensure_ascii=False) + "\n",
        MAP: json.dumps(mapping(), indent=2) + "\n",
    }


def mapping() -> Json:
    """The plain settings by their values, and those that can be switched off."""
    return {
        "settings": {value: name.upper() for name, value in plain().items()},
        "off": [name.upper() for name in plain() if switches_off(name)],
    }


def main(arguments: list[str]) -> int:
    stale = [path for path, text in fresh().items() if not path.exists() or path.read_text() != text]
    if "--check" in arguments:
        for path in stale:
            print(f"{path.relative_to(CHART)} is stale: run make helm-docs")
        return int(bool(stale))
    for path, text in fresh().items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
