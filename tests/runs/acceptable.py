"""What the strictest provider wants of a conversation."""

from collections.abc import Sequence

from app.messages import AssistantMessage, Message, ToolMessage, UserMessage


def assert_acceptable(said: Sequence[Message]) -> None:
    """What the strictest provider wants of a conversation that has been answered."""
    assert isinstance(said[0], UserMessage)
    last = said[-1]
    assert isinstance(last, AssistantMessage)
    assert last.content.strip()
    assert not last.tool_calls
    place = 0
    while place < len(said):
        message = said[place]
        assert type(message) is not UserMessage or not place or type(said[place - 1]) is AssistantMessage
        place += 1
        assert not isinstance(message, ToolMessage), "a result without its call"
        if isinstance(message, AssistantMessage):
            assert message.content.strip() or message.tool_calls
            assert not message.interrupted
            wanted = [call.id for call in message.tool_calls]
            answered = said[place : place + len(wanted)]
            given_ids = [result.tool_call_id for result in answered if isinstance(result, ToolMessage)]
            assert sorted(wanted) == sorted(given_ids), "each call has its one result, right after it"
            assert len(set(wanted)) == len(wanted)
            place += len(wanted)
