"""Mails and reviews of code without a secret, made by a seed, full of what looks like one: hashes, ids, numbers, names
of secrets, placeholders, base64."""

import base64
import random
import uuid
from collections.abc import Iterator

from tests.redaction.computed import CLASSES

NAMES = [
    "Ada",
    "Grace",
    "Alan",
    "Barbara",
    "Edsger",
    "Katherine",
    "Linus",
    "Margaret",
    "Donald",
    "Radia",
    "Tim",
    "Frances",
    "Ken",
    "Hedy",
    "Dennis",
    "Joan",
]
TOPICS = [
    "the rollout",
    "the invoice",
    "our offsite",
    "the new office",
    "the quarterly numbers",
    "the migration",
    "your order",
]
VERBS = [
    "reviewed",
    "moved",
    "postponed",
    "confirmed",
    "shipped",
    "cancelled",
    "approved",
    "merged",
    "reverted",
    "renamed",
    "measured",
]
THINGS = [
    "the parser",
    "the login page",
    "the retry loop",
    "a flaky test",
    "the chart",
    "the cache",
    "the batch job",
    "a typo",
]

MAILS = (
    "Hi {name},\n\nthe order {order} was {verb} on {date}; tracking number {tracking}. Please quote reference {ref}.\n",
    "Hello {name},\nInvoice {invoice} over {amount} EUR is attached. Our account {iban} has not changed.\n",
    "Google Play order GPA.{four}-{four}-{four}-{num5}, eBay item {num12}, parcel 00340{num15}, VAT id DE{num9}.\n",
    "Dear {name}, your ticket #{number} ({uuid}) about {topic} was {verb}. Call us at {phone}, extension {short}.\n",
    "The book is ISBN {isbn}, the second edition ISBN-10 0-306-40615-{short}. {name} {verb} it.\n",
    "Reset your password here: the link is valid for 30 minutes. If you did not ask for a new password, ignore this.\n",
    "Please enter the card number 4111 1111 1111 1112 only on the test page, it is refused on purpose.\n",
    "Agenda for {date}: 1. {topic} 2. secrets management 3. token budget: 4096 tokens a request 4. any other business\n",
    "{name} wrote: > {verb} {thing}, see https://git.corp.example/team/repo/-/merge_requests/{short}?tab=changes#note_{number}\n",
    "Meeting id: {meeting}, passcode on request. Join: https://meet.corp.example/j/{number}?hash={hex8}\n",
    "Flight LH{short} on {date}, booking code {ref}, seat 17C, frequent flyer {number}.\n",
    "The patient has {number} steps this week; serial number SN-{serial}, MAC 00:1B:44:11:3A:B7, IMEI {imei}.\n",
    "Message-ID: <{hex32}@mail.corp.example>\nX-Request-Id: {uuid}\nDKIM-Signature: v=1; a=rsa-sha256; bh={b64_44}\n",
)
REVIEWS = (
    "commit {hex40}\nAuthor: {name} <{lower}@corp.example>\n\n    {verb} {thing}\n",
    "diff --git a/app/{lower}.py b/app/{lower}.py\nindex {hex7}..{hex7} 100644\n--- a/app/{lower}.py\n",
    '-    token = os.environ["API_TOKEN"]\n+    token = s.api_token\n+    password: str = Field(min_length=9)\n',
    "Why does `get_secret(name: str) -> SecretStr` log the name? Set API_KEY=<your key> in .env, as in .env.example.\n",
    "    {lower}==1.{short}.3 \\\n        --hash=sha256:{hex64} \\\n        --hash=sha256:{hex64}\n",
    '      "integrity": "sha512-{b64_88}",\n      "resolved": "https://registry.corp.example/{lower}/-/{lower}-1.2.{short}.tgz"\n',
    '<script src="/static/app.{hex20}.js" integrity="sha384-{b64_64}" crossorigin="anonymous"></script>\n',
    '<img alt="logo" src="data:image/png;base64,{image}">\n',
    "image: registry.corp.example/team/app@sha256:{hex64}\n",
    "FAILED tests/test_{lower}.py::test_{lower} - AssertionError: assert '{hex32}' == '{hex32}'\n",
    "+ secret_key: ${{SECRET_KEY}}\n+ password: {{{{ .Values.database.password }}}}\n+ token: !vault |\n",
    'kubectl create secret generic db --from-literal=password="$DB_PASSWORD"  # never the value itself\n',
    "v2.{short}.0-rc.{short}+build.{number}.sha.{hex7} is out; go.sum has h1:{b64_43}=\n",
    "LGTM. Nit: `access_token_expires_in=3600` and `next_page_token={page}` read better as constants.\n",
    'time={date}T12:00:00Z level=info trace_id={hex32} span_id={hex16} msg="token refreshed" user_id={number}\n',
    "def test_login(client): client.post('/login', json={{'username': 'ada', 'password': 'password'}})\n",
    "ETag: W/\"{hex32}\"; Cache-Key: {uuid}; shard-key = {lower}_{short}; primary_key=True, sort_key='created_at'\n",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{b64_43} {lower}@laptop  (public key, safe to share)\n",
    ".btn_{hex8}__label {{ color: #{hex6}; }} /*# sourceMappingURL=main.{hex8}.css.map */\n",
    "arn:aws:iam::123456789012:role/{lower}, vpc-{hex17}, i-{hex17}, sg-{hex8}, s3://bucket/{uuid}/part-{number}\n",
    "The docs say `Authorization: Bearer <token>`; examples have sk-xxxxxxxxxxxxxxxxxxxxxxxx, ghp_xxxxxxxxxxxx.\n",
    "-----BEGIN CERTIFICATE-----\n{b64_64}\n{b64_64}\n-----END CERTIFICATE-----\n",
    "cookie: session=; csrftoken is rotated on login; see RFC 6749 section 4.1 and CVE-2024-{number}.\n",
)


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
