"""Mails and reviews of code without a secret, made by a seed, full of what looks like one: hashes, ids, numbers, names
of secrets, placeholders, base64."""

import base64
import random
import uuid
from collections.abc import Iterator

from tests.redaction.benign_words import MAILS, NAMES, REVIEWS, THINGS, TOPICS, VERBS
from tests.redaction.computed import CLASSES


def mails(kilobytes: int, seed: int = 1) -> str:
    return _filled(MAILS, kilobytes, seed)


def reviews(kilobytes: int, seed: int = 1) -> str:
    return _filled(REVIEWS, kilobytes, seed)


def _filled(templates: tuple[str, ...], kilobytes: int, seed: int) -> str:
    chance, texts, size = random.Random(seed), [], 0
    while size < kilobytes * 1000:
        for template in chance.sample(templates, len(templates)):
            texts.append(template.format_map(_Lookalikes(chance)))
            size += len(texts[-1])
    return "\n".join(texts)


class _Lookalikes(dict[str, str]):
    """What a template asks for: `hex40`, `b64_88` and the names below."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance

    def __missing__(self, name: str) -> str:
        chance = self._chance
        if name.startswith("hex"):
            return _of("hex", int(name[3:]), chance)
        if name.startswith("num") and name != "number":
            return _of("num", int(name[3:]), chance)
        if name.startswith("b64_"):
            return _of("b64", int(name[4:]), chance)
        return next(made for known, made in _named(chance) if known == name)


def _of(kind: str, length: int, chance: random.Random) -> str:
    return "".join(chance.choices(CLASSES[kind], k=length))


def _no_iban(chance: random.Random) -> str:
    return f"DE00 {' '.join(_of('num', 4, chance) for _ in range(4))} {_of('num', 2, chance)}"


def _named(chance: random.Random) -> Iterator[tuple[str, str]]:
    yield "name", chance.choice(NAMES)
    yield "topic", chance.choice(TOPICS)
    yield "verb", chance.choice(VERBS)
    yield "thing", chance.choice(THINGS)
    yield "lower", chance.choice(NAMES).lower()
    yield "date", f"2026-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
    yield "number", _of("num", 7, chance)
    yield "short", _of("num", 3, chance)
    yield "order", f"{_of('num', 3, chance)}-{_of('num', 7, chance)}-{_of('num', 7, chance)}"
    yield "tracking", f"1Z{_of('upper', 16, chance)}"
    yield "ref", _of("upper", 6, chance)
    yield "invoice", f"RE-2026-{_of('num', 5, chance)}"
    yield "amount", f"{chance.randint(10, 9999)}.{_of('num', 2, chance)}"
    yield (
        "iban",
        chance.choice((f"DE{_of('num', 2, chance)} **** **** **** **** {_of('num', 2, chance)}", _no_iban(chance))),
    )
    yield "four", _of("num", 4, chance)
    yield "uuid", str(uuid.UUID(int=chance.getrandbits(128), version=4))
    yield "phone", f"+49 30 {_of('num', 7, chance)}"
    yield "isbn", f"978-3-16-{_of('num', 6, chance)}-{_of('num', 1, chance)}"
    yield "meeting", " ".join(_of("num", 3, chance) for _ in range(3))
    yield "serial", _of("upper", 12, chance)
    yield "imei", _of("num", 15, chance)
    yield "page", base64.b64encode(chance.randbytes(18)).decode()
    yield "image", base64.b64encode(b"\x89PNG\r\n\x1a\n" + chance.randbytes(600)).decode()
