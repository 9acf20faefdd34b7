"""A real model file in a few kilobytes that counts: after `one` it says `two`, and after `ten` it stops.

It is of the llama architecture, with weights set so that the next word depends on the last one alone: an embedding is
a single 1 at a place of the word's own, the attention adds nothing, and the output layer has its weight for the next
word at that place. Whatever is no number is followed by `one`.
"""

import struct
from array import array
from collections.abc import Iterator, Sequence
from typing import Any

WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
SPACE = "\u2581"
UNKNOWN, BEGIN, END = 0, 1, 2
NORMAL, UNKNOWN_TYPE, CONTROL, BYTE = 1, 2, 3, 6  # token types
WIDTH = 32
CONTEXT = 4096
ALIGNMENT = 32

Tensor = tuple[str, tuple[int, ...], "array[float]"]


def counting_model() -> bytes:
    """The file, by https://github.com/ggml-org/ggml/blob/master/docs/gguf.md."""
    words = [SPACE + word for word in WORDS]
    pieces = [SPACE, *"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.,?!"]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *pieces, *words]
    types = [UNKNOWN_TYPE, CONTROL, CONTROL, *[BYTE] * 256, *[NORMAL] * (len(pieces) + len(words))]
    scores = [0.0] * 259 + [-500.0] * len(pieces) + [-float(at) for at in range(len(words))]
    tensors = list(_tensors(len(tokens), len(tokens) - len(words)))
    metadata = [*_metadata(), *_tokenizer(tokens, scores, types)]
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata)) + b"".join(metadata)
    infos, data = b"", b""
    for name, shape, values in tensors:
        infos += _text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, len(data))
        data += _padded(values.tobytes())
    return _padded(head + infos) + data


def _tensors(tokens: int, first_word: int) -> Iterator[Tensor]:
    """Shapes have the length of a row first."""
    embedding = array("f", bytes(4 * tokens * WIDTH))
    output = array("f", bytes(4 * tokens * WIDTH))
    for token in range(tokens):
        place = max(0, token - first_word + 1)  # 0 for all that is no number
        embedding[token * WIDTH + place] = 1
    for place in range(len(WORDS)):
        output[(first_word + place) * WIDTH + place] = 10
    output[END * WIDTH + len(WORDS)] = 10
    ones, zeros = array("f", [1] * WIDTH), array("f", bytes(4 * WIDTH * WIDTH))
    yield "token_embd.weight", (WIDTH, tokens), embedding
    yield "output.weight", (WIDTH, tokens), output
    yield "output_norm.weight", (WIDTH,), ones
    for name in ("attn_norm", "ffn_norm"):
        yield f"blk.0.{name}.weight", (WIDTH,), ones
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        yield f"blk.0.{name}.weight", (WIDTH, WIDTH), zeros


def _metadata() -> Iterator[bytes]:
    yield _entry("general.architecture", "llama")
    yield _entry("general.name", "counting")
    numbers = {
        "context_length": CONTEXT,
        "embedding_length": WIDTH,
        "block_count": 1,
        "feed_forward_length": WIDTH,
        "attention.head_count": 2,
        "attention.head_count_kv": 2,
        "rope.dimension_count": WIDTH // 2,
    }
    for name, number in numbers.items():
        yield _entry(f"llama.{name}", number)
    yield _entry("llama.attention.layer_norm_rms_epsilon", 1e-5)


def _tokenizer(tokens: Sequence[str], scores: Sequence[float], types: Sequence[int]) -> Iterator[bytes]:
    yield _entry("tokenizer.ggml.model", "llama")
    yield _entry("tokenizer.ggml.tokens", tokens)
    yield _entry("tokenizer.ggml.scores", scores)
    yield _entry("tokenizer.ggml.token_type", types)
    for name, token in (("bos", BEGIN), ("eos", END), ("unknown", UNKNOWN)):
        yield _entry(f"tokenizer.ggml.{name}_token_id", token)


def _entry(key: str, value: Any) -> bytes:
    kind, packed = _value(value)
    return _text(key) + struct.pack("<I", kind) + packed


def _value(value: Any) -> tuple[int, bytes]:
    match value:
        case str():
            return 8, _text(value)
        case int():
            return 4, struct.pack("<I", value)
        case float():
            return 6, struct.pack("<f", value)
        case _:
            items = [_value(item) for item in value]
            return 9, struct.pack("<IQ", items[0][0], len(items)) + b"".join(packed for _, packed in items)


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % ALIGNMENT)
