"""Letters of other alphabets that look like Latin ones, lower case, by the letter that they look like.

Chosen by eye from those that Unicode's confusables (UTS 39) lists, and small capitals.
"""

from typing import Final

_BY_LETTER: Final = {
    "a": "аαɑᴀ🅰",
    "b": "вьʙᖯ🅱",
    "c": "сϲᴄⲥ🅲",
    "d": "ԁᴅɗ🅳",
    "e": "еєεᴇ℮🅴",
    "f": "ꜰғƒ🅵",
    "g": "ɡɢցԍ🅶",
    "h": "һнհʜ🅷",
    "i": "іιɩɪӏ🅸",
    "j": "јϳᴊ🅹",
    "k": "кκᴋ🅺",
    "l": "ⅼʟ🅻",
    "m": "мᴍ🅼",
    "n": "ոηɴп🅽",
    "o": "оοօσᴏ🅾",
    "p": "рρᴘ🅿",
    "q": "ԛզǫ🆀",
    "r": "гʀᴦ🆁",
    "s": "ѕꜱ🆂",
    "t": "тτᴛ🆃",
    "u": "սυᴜц🆄",
    "v": "ѵνᴠ🆅",
    "w": "ԝшωᴡ🆆",
    "x": "хχ🆇",
    "y": "уүγʏ🆈",
    "z": "ᴢʐ🆉",
}

LOOKALIKES: Final = {alike: letter for letter, group in _BY_LETTER.items() for alike in group}
