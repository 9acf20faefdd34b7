"""Numbers as words and as digits are the same: data of app/runs/wording.py.

Words that also mean something else in their language (an article, `new`) are left out.
"""

from collections.abc import Mapping


def _counted(*lists: tuple[int, str], step: int = 1) -> Mapping[str, str]:
    return {word: str(first + step * place) for first, words in lists for place, word in enumerate(words.split())}


NUMBERS: Mapping[str, Mapping[str, str]] = {
    "en": {
        **_counted(
            (0, "zero"),
            (2, "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"),
            (17, "seventeen eighteen nineteen"),
        ),
        **_counted((20, "twenty thirty forty fifty sixty seventy eighty ninety"), step=10),
    },
    "de": {
        **_counted((2, "zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn")),
        **_counted((20, "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig"), step=10),
    },
    "fr": {
        **_counted((2, "deux trois quatre cinq six sept huit"), (10, "dix onze douze treize quatorze quinze seize")),
        **_counted((20, "vingt trente quarante cinquante soixante"), step=10),
    },
    "es": {
        **_counted((2, "dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince")),
        **_counted((20, "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa"), step=10),
    },
}
"""By language, since `once` is eleven in Spanish only."""

CHINESE_NUMBERS = {"二": "2", "两": "2", "三": "3", "四": "4", "五": "5", "六": "6", "七": "7", "八": "8", "九": "9"}
CHINESE_MEASURES = "个天年次本人米元岁月"
"""Before these, and not beside another number, a Chinese number is one digit."""
