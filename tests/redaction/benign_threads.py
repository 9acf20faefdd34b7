"""What people paste: threads of mails with their signatures, exports, logs, bundles. None of it holds a secret, and all
of it is full of numbers and of letters at random."""

import base64
import random
import string
import uuid
from collections.abc import Callable

from tests.redaction.benign_words import NAMES, TOPICS

_HEX, _WORD, _UPPER = "0123456789abcdef", string.ascii_letters + string.digits, string.ascii_uppercase + string.digits


def _of(letters: str, length: int, chance: random.Random) -> str:
    return "".join(chance.choices(letters, k=length))


def _num(chance: random.Random, *lengths: int) -> str:
    """Groups of digits."""
    return " ".join(_of(string.digits, length, chance) for length in lengths)


def _uuid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def signature(chance: random.Random) -> str:
    name = chance.choice(NAMES)
    return (
        f"--\n{name} Example | Head of {chance.choice(TOPICS)}\nTel. +49 (0)30 {_num(chance, 4)}-{_num(chance, 3)} | "
        f"Fax +49 30 {_num(chance, 7)} | Mobile +49 17{_num(chance, 9)}\nAmtsgericht Berlin HRB {_num(chance, 6)} B, "
        f"USt-IdNr. in our imprint\nhttps://example.org/{name.lower()}?utm_source=mail&utm_id={_num(chance, 10)}\n"
    )


def thread(chance: random.Random) -> str:
    text = ""
    for depth in range(6):
        quote = "> " * depth
        text += (
            f"{quote}On Mon, {chance.randint(1, 28)} Nov 2026 at {chance.randint(10, 23)}:{chance.randint(10, 59)}, "
            f"{chance.choice(NAMES)} wrote:\n{quote}The password reset for {chance.choice(TOPICS)} is done, the "
            f"token has "
            f"expired.\n{quote}Message-ID: <{_of(_WORD, 24, chance)}.{_num(chance, 13)}@mail.example.org>\n"
            f"{quote}References: <{_uuid(chance)}@example.org>\n"
        )
    return text + signature(chance)


def parcels(chance: random.Random) -> str:
    return "".join(
        f"Order {_num(chance, 3)}-{_num(chance, 7)}-{_num(chance, 7)}, UPS 1Z{_of(_UPPER, 16, chance)}, "
        f"DHL 00340{_num(chance, 15)}, USPS 9400 1{_num(chance, 3, 4, 4, 4)} "
        f"{_num(chance, 2)}, reference RF{_num(chance, 2, 4, 4, 4)}\n"
        for _ in range(6)
    )


def history(chance: random.Random) -> str:
    return "".join(
        f"commit {_of(_HEX, 40, chance)}\nMerge: {_of(_HEX, 7, chance)} {_of(_HEX, 7, chance)}\n    Change-Id: "
        f"I{_of(_HEX, 40, chance)}\n{_of(_HEX, 64, chance)}  dist/"
        f"app-{chance.randint(1, 9)}.{chance.randint(0, 30)}.tar.gz\n"
        f'"integrity": "sha512-{base64.b64encode(chance.randbytes(64)).decode()}"\nsha256:{_of(_HEX, 64, chance)}\n'
        for _ in range(4)
    )


def export(chance: random.Random) -> str:
    rows = (
        f"{_uuid(chance)},{_num(chance, 6)},{chance.choice(NAMES)},{_num(chance, 5)}.{_num(chance, 2)},"
        f"2026-11-{chance.randint(10, 28)},"
        f"{_num(chance, 13)},{_of(_WORD, 22, chance)},+1 555 {_num(chance, 3, 4)},1{_num(chance, 18)}\n"
        for _ in range(12)
    )
    return "id,customer,name,amount,date,ean,external_id,phone,message_id\n" + "".join(rows)


def trace(chance: random.Random) -> str:
    frames = "".join(
        f"    at org.example.auth.TokenService$$Lambda${_num(chance, 3)}/0x{_of(_HEX, 16, chance)}.apply"
        f"(TokenService.java:{chance.randint(10, 900)})\n"
        for _ in range(8)
    )
    return (
        f"java.lang.IllegalStateException: access token for session {_uuid(chance)} is missing\n{frames}trace_id="
        f"{_of(_HEX, 32, chance)} span_id={_of(_HEX, 16, chance)} arn:aws:sns:eu-west-1:{_num(chance, 12)}:alerts\n"
        f'  File "/srv/app/keys.py", line {chance.randint(1, 99)}, in secret_of\n    raise KeyError(api_key_name)\n'
    )


def image(chance: random.Random) -> str:
    drawn = base64.b64encode(b"\x89PNG\r\n\x1a\n" + chance.randbytes(900)).decode()
    return f'<img src="data:image/png;base64,{drawn}" alt="chart">\n'


def bundle(chance: random.Random) -> str:
    pieces = (
        f"function {_of(string.ascii_lowercase, 2, chance)}(e,"
        f"t){{var n=t.token||e.key;return n&&n.length>{chance.randint(8, 99)}"
        f'?n:"{_of(string.ascii_lowercase, 12, chance)}"}}{_of(_WORD, 8, chance)}={{password:!0,secret:void 0}};'
        for _ in range(10)
    )
    return "!" + "".join(pieces) + f"\n//# sourceMappingURL=app.{_of(_HEX, 20, chance)}.js.map\n"


def numbers(chance: random.Random) -> str:
    return "".join(
        f"| {chance.choice(NAMES)} | 0{_num(chance, 3)}/{_num(chance, 6)} | 35{_num(chance, 13)} | "
        f"{_num(chance, 4, 4)} "
        f"{_num(chance, 4)} | 978-3-{_num(chance, 2)}-{_num(chance, 6)}-{_num(chance, 1)} | "
        f"{chance.uniform(-90, 90):.7f}, "
        f"{chance.uniform(-180, 180):.7f} |\n"
        for _ in range(8)
    )


KINDS: dict[str, Callable[[random.Random], str]] = {
    "threads": thread,
    "parcels": parcels,
    "histories": history,
    "exports": export,
    "traces": trace,
    "images": image,
    "bundles": bundle,
    "numbers": numbers,
}


def pasted(kind: str, kilobytes: int, seed: int = 1) -> str:
    """So much of this kind."""
    chance, texts, size = random.Random(f"{kind}/{seed}"), [], 0
    while size < kilobytes * 1000:
        texts.append(KINDS[kind](chance))
        size += len(texts[-1])
    return "\n".join(texts)
