"""How hard a question is, by rules that see its words and its form. What they do not know they do not judge."""

from functools import partial

from app.models.decisions import Judge, Judgement
from app.models.lexicon import Lexicon, load, normal, size
from app.models.question_form import (
    LEAD_CHARS,
    has_code,
    has_formula,
    has_sum,
    instruction,
    introduces,
    items,
    mixed,
    numbers,
    questions,
    seen_of,
    without_quotations,
)
from app.models.question_words import Reading, read

SIMPLE_WORDS = 16
"""Of a question that can be simple."""
FACT_WORDS = 3
"""That a question for a fact may have beside what asks for it: a name or two."""
MEANING_WORDS = 2
"""In quotation marks, whose meaning a dictionary tells."""
SHORT_FORM_WORDS = 7
"""Of a question for the form of a word that is not in quotation marks."""
FORM_WORDS = 60
"""Of a text whose form a small model can work on."""
MEDIUM_WORDS = 90
"""Of a question without material that can be medium."""
MEDIUM_CHARS = 1_000
"""Of the same: more are more words, and need not be read."""


UNKNOWN = Judgement(None, "unknown")


def build_judge() -> Judge:
    """`judge` with the lexicon of all languages. Reads files."""
    return partial(judge, lexicon=load())


def judge(text: str, lexicon: Lexicon) -> Judgement:
    """Rules from the surest to the least sure. What calls itself easy is not believed."""
    seen = seen_of(text)
    if has_code(seen):
        return Judgement("complex", "code")
    told = without_quotations(seen)
    wish = read(instruction(told), lexicon)
    if (work := _work_on_text(seen, told, wish)) is not None:
        return work
    if len(seen) > MEDIUM_CHARS:
        return Judgement("complex", "length")
    whole = read(seen, lexicon)
    return _hard(seen, whole) or _simple(seen, whole) or _medium(seen, whole)


def _work_on_text(seen: str, told: str, wish: Reading) -> Judgement | None:
    """Of a question that comes with the text it is about; None for others. The text itself may be about anything."""
    material = len(seen) - len(wish.words)
    if wish.hard is not None or wish.size > MEDIUM_WORDS or has_formula(told[:LEAD_CHARS]):
        return None
    if "form" in wish.found or _asks_meaning(seen, wish):
        given = len(told) < len(seen) or introduces(told) or wish.size <= SHORT_FORM_WORDS
        easy = given and wish.calm and size(normal(seen)) <= FORM_WORDS
        return Judgement("simple", "form") if easy else Judgement("medium", "text")
    if "look_up" in wish.found and material > LEAD_CHARS and len(told) < len(seen):
        return Judgement("simple", "look_up") if wish.calm else Judgement("medium", "text")
    if "summary" in wish.found:
        return Judgement("medium", "text")
    return None


def _asks_meaning(seen: str, wish: Reading) -> bool:
    quoted = size(normal(seen)) - wish.size
    own = wish.left("meaning") > MEANING_WORDS or "own" in wish.found
    return "meaning" in wish.found and 0 < quoted <= MEANING_WORDS and not own


def _hard(seen: str, whole: Reading) -> Judgement | None:
    if has_formula(seen):
        return Judgement("complex", "maths")
    if whole.hard is not None:
        return Judgement("complex", whole.hard)
    if items(seen) > 2:
        return Judgement("complex", "constraints")
    if numbers(seen) > 2:
        return Judgement("complex", "maths")
    if questions(seen) > 2:
        return Judgement("complex", "questions")
    return Judgement("complex", "length") if whole.size > MEDIUM_WORDS else None


def _simple(seen: str, whole: Reading) -> Judgement | None:
    found = whole.found
    if not whole.calm:
        return None
    if "smalltalk" in found and whole.left("smalltalk") <= 1:
        return Judgement("simple", "smalltalk")
    if whole.size > SIMPLE_WORDS or questions(seen) > 1 or mixed(seen) or found.keys() & {"everyday", "own"}:
        return None
    if has_sum(seen) and whole.size <= SIMPLE_WORDS // 2:
        return Judgement("simple", "arithmetic")
    amount = "amount" in found and "units" in found and whole.left("amount", "units") <= FACT_WORDS
    if amount or ("fact" in found and whole.left("fact") <= FACT_WORDS):
        return Judgement("simple", "fact")
    return None


def _medium(seen: str, whole: Reading) -> Judgement:
    if whole.size <= SIMPLE_WORDS and "constraints" in whole.found:
        return UNKNOWN
    short = whole.size <= SIMPLE_WORDS // 2 and not numbers(seen)
    if "everyday" in whole.found or (short and "definition" in whole.found):
        return Judgement("medium", "everyday")
    return UNKNOWN
