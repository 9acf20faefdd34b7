"""Checks of what a pattern found: the digits that a card, an account or a token carries to be told from chance.

Each is given the text as it was found, with its spaces and dashes, and does not raise.
"""

import re
from collections.abc import Callable, Mapping

from app.redaction.lookalikes import LOOKALIKES
from app.redaction.national_ids import NATIONAL_IDS
from app.redaction.token_checksums import TOKENS

Check = Callable[[str], bool]

_CARDS = (  # the first digits, from and to, and the lengths: ISO/IEC 7812 as the issuers use it
    (4, 4, (16, 19)),  # Visa; those of 13 digits are gone, and articles have numbers of 13 that begin so
    (51, 55, (16,)),  # Mastercard
    (2221, 2720, (16,)),
    (34, 34, (15,)),  # American Express
    (37, 37, (15,)),
    (6011, 6011, (16, 19)),  # Discover
    (644, 649, (16, 19)),
    (65, 65, (16, 19)),
    (300, 305, (14, 16)),  # Diners Club
    (36, 36, (14,)),
    (38, 39, (14, 16)),
    (3528, 3589, (16, 19)),  # JCB
    (62, 62, (16, 17, 18, 19)),  # UnionPay
    (50, 50, (16, 17, 18, 19)),  # Maestro; as long as an IMEI, which has the same check digit, none is issued
    (56, 58, (16, 17, 18, 19)),
    (6304, 6304, (16, 17, 18, 19)),
    (67, 67, (16, 17, 18, 19)),
    (2200, 2204, (16, 17, 18, 19)),  # Mir
)
_GROUPED = re.compile(r"\d+|\d{4}(?:[ -]\d{4}){3}(?:[ -]\d{3})?|\d{4}[ -]\d{6}[ -]\d{4,5}|\d(?:[ -]\d)+")
_TWICE = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def compact(text: str) -> str:
    return text.replace(" ", "").replace("-", "")


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    numbers = [int(digit) for digit in reversed(digits)]
    return (sum(numbers[::2]) + sum(_TWICE[digit] for digit in numbers[1::2])) % 10 == 0


def card(text: str) -> bool:
    """A card's number: with an issuer's first digits and length, and a check digit that is right."""
    if _GROUPED.fullmatch(text) is None:
        return False
    digits = compact(text)
    return _is_issued(digits) and len(set(digits)) > 1 and luhn(digits)


_BY_FIRST = {
    digit: [row for row in _CARDS if str(row[0])[0] <= digit <= str(row[1])[0]] for digit in "123456789"
}  # of which there are no more than six


def _is_issued(digits: str) -> bool:
    for low, high, lengths in _BY_FIRST.get(digits[:1], ()):
        if len(digits) in lengths and low <= int(digits[: len(str(low))]) <= high:
            return True
    return False


def iban(text: str) -> bool:
    """ISO 13616: a country's length and form, and check digits that are right."""
    from stdnum import iban as known  # costs 10 ms: only where one was found

    return text[2:4] not in ("00", "01", "99") and bool(known.is_valid(text))


def phone(text: str) -> bool:
    """ITU-T E.164: 8 to 15 digits."""
    return 8 <= sum(map(str.isdecimal, text)) <= 15


def mixed(text: str) -> bool:
    """Not a word, a name or a path of a program: letters and digits, or marks, in one."""
    letters, digits = any(map(str.isalpha, text)), any(map(str.isdecimal, text))
    marks = any(mark in text for mark in "!#%&+=?@^~")
    return letters and (digits or marks)


CHECKSUMS: Mapping[str, Check] = {
    "card": card,
    "iban": iban,
    "phone": phone,
    "mixed": mixed,
    **LOOKALIKES,
    **TOKENS,
    **NATIONAL_IDS,
}
