"""What an MCP tool answered, as text for a model. What is no text is named, and left out."""

import json
from typing import Any

from mcp_types import AudioContent, CallToolResult, EmbeddedResource, ImageContent, ResourceLink, TextContent

_MAX_NAMED_CHARS = 300
_MAX_BLOCKS = 1_000


def text_of(result: CallToolResult) -> str:
    """Its texts, or its structured content where there are none."""
    blocks = [_block(block) for block in result.content[:_MAX_BLOCKS]]
    if not blocks and result.structured_content is not None:
        return json.dumps(result.structured_content, ensure_ascii=False)
    return "\n".join(blocks)


def _block(block: Any) -> str:
    match block:
        case TextContent():
            return block.text
        case ImageContent() | AudioContent():
            return _named(block.type, block.mime_type, f"{len(block.data) * 3 // 4} bytes")
        case ResourceLink():
            return _named("resource", block.name, str(block.uri))
        case EmbeddedResource():
            return _named("resource", str(block.resource.uri), block.resource.mime_type or "")
        case _:
            return "[something that cannot be shown]"


def _named(*words: str) -> str:
    return f"[{', '.join(word[:_MAX_NAMED_CHARS] for word in words if word)}: left out]"
