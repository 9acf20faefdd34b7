"""The attributes of a model call's span, named by the OpenTelemetry conventions for generative AI."""

from collections.abc import Mapping

from opentelemetry.util.types import AttributeValue

from app.models.protocol import Completion, ModelRequest


def of_request(provider: str, name: str, request: ModelRequest) -> Mapping[str, AttributeValue]:
    """`name` is the model's at its provider."""
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": name,
        "gen_ai.request.max_tokens": request.max_tokens,
        "gen_ai.request.stream": request.stream,
    }


def of_answer(completion: Completion) -> Mapping[str, AttributeValue]:
    usage = completion.usage
    return {
        "gen_ai.response.finish_reasons": [completion.stop_reason],
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
        "agent.cost_usd": completion.cost_usd,
        "agent.attempts": completion.attempts,
    }
