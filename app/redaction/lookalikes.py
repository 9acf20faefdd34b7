"""Checks that tell a secret from a placeholder, a word and the name of a variable. None raises.

Each pattern reads its text once: no two of its parts can take the same character.
"""

import re
from collections.abc import Callable

PLACEHOLDER = re.compile(
    r"your[_. -]|your(?:api|key|secret|token|pass)|example|placeholder|change_?me|redacted|dummy|insert|replace|_here"
    r"|\*\*\*|\.\.\.|(.)\1{5}|abcdefg|123456789",
    re.IGNORECASE,
)
CHANGES = re.compile(r"[a-z](?=[A-Z0-9])|[A-Z](?=[0-9])|[0-9](?=[A-Za-z])")
NO_PASSWORDS = "pass passwd password passphrase pw pwd secret token key user username none null true false string str"
NAME = re.compile(r"[A-Za-z]+\d{0,2}(?:(?:[._/:]|->)[A-Za-z]*\d{0,2})+|v?[\d.:,%/-]+[a-z]{0,2}")
PLAIN = re.compile(
    r"[a-z]*\d{0,2}(?:[-._/:~|=+][a-z]*\d{0,2})*|[A-Z]*\d{0,2}(?:[-._/:~|=+][A-Z]*\d{0,2})*"
    r"|[A-Z][a-z]+(?:[-._/:][A-Z][a-z]+)*"
)
NAMED = re.compile(r"pass(?:word|wd)|secret|token|(?:api|access)_?key|credential", re.IGNORECASE)
SENTENCE = (
    "a an and are at be by can cannot do does for from has have in is it its least less more must no not of on only or "
    "password passwords passphrase please required reset secret should than the this to too was will with your"
)


def varied(text: str) -> bool:
    """Not a placeholder such as `sk_live_xxxxxxxx` or `YOUR_API_KEY`: has many different characters."""
    return len(set(text)) >= min(10, len(text) // 2 + 1) and PLACEHOLDER.search(text) is None


def random(text: str) -> bool:
    """Varied, and neither words nor names of variables: letters, capitals and digits alternate often."""
    return varied(text) and len(CHANGES.findall(text)) >= len(text) / 5


def own_word(text: str) -> bool:
    """Not what examples say in the place of a password: `postgresql://user:password@host`."""
    return text.lower().strip("<>[]{}") not in NO_PASSWORDS.split() and PLACEHOLDER.search(text) is None


def assigned(text: str) -> bool:
    """What a name such as `DD_API_KEY` was given: no words in small letters or capitals, and not another name."""
    if not own_word(text) or "://" in text or PLAIN.fullmatch(text):
        return False
    return NAMED.search(text) is None or random(text)


def credential(text: str) -> bool:
    """What stands behind `password =`: letters with digits or marks, and no name of a variable."""
    if not assigned(text) or not any(map(str.isalpha, text)):
        return False
    return random(text) or not (text.isalpha() or NAME.fullmatch(text))


def passphrase(text: str) -> bool:
    """A quoted password: like one of a word, or several words that make no sentence about passwords."""
    words = text.split(" ")
    if len(words) == 1:
        return credential(text)
    return len(words) > 2 and all(map(str.isalnum, words)) and set(SENTENCE.split()).isdisjoint(text.lower().split(" "))


LOOKALIKES: dict[str, Callable[[str], bool]] = {
    "varied": varied,
    "random": random,
    "own-word": own_word,
    "assigned": assigned,
    "credential": credential,
    "passphrase": passphrase,
}
