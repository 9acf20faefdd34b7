"""How a question is opened: politeness at its start is left out, and forms that ask the same become one."""

from app.runs import harmless_words as harmless


def begins(words: list[str], phrase: harmless.Phrase) -> bool:
    first = bool(words) and words[0].lower() == phrase[0]  # told apart by this mostly
    return first and tuple(word.lower() for word in words[: len(phrase)]) == phrase


def without_greeting(words: list[str]) -> list[str]:
    rest = words[2:]
    greets = rest and words[0].lower() in harmless.GREETINGS and words[1] in (",", "!", ".")
    return rest if greets and rest[0].lower() in harmless.OPENERS else words


def without_opening(words: list[str], *, literal: bool) -> list[str]:
    """Without `please` or `could you tell me`, each at most once."""
    words = _without_please(words)
    return words if literal else _without_embedding(_without_ability(words))


def _without_please(words: list[str]) -> list[str]:
    for phrase in harmless.REQUESTS:
        if begins(words, phrase) and len(words) > len(phrase):
            return words[len(phrase) :]
    for phrase in harmless.PLEASE:
        rest = words[len(phrase) :]
        if rest[:1] == [","]:
            rest = rest[1:]
        if begins(words, phrase) and len(rest) > 1 and rest[0].lower() in harmless.BEFORE:
            return rest
    return words


def _without_ability(words: list[str]) -> list[str]:
    for phrase in harmless.ABILITIES:
        rest = words[len(phrase) :]
        if begins(words, phrase) and len(rest) > 1 and any(begins(rest, able) for able in harmless.ABLE):
            return rest
    return words


def _without_embedding(words: list[str]) -> list[str]:
    """`tell me what X is` becomes `what is X`."""
    for phrase in (*harmless.EMBEDDINGS, *harmless.KNOWING):
        rest = words[len(phrase) :]
        if begins(words, phrase) and len(rest) > 1 and (first := rest[0].lower()) in harmless.QUESTION_WORDS:
            if first in harmless.TURNED.get(rest[-1], ()):
                return [rest[0], rest[-1], *rest[1:-1]]
            return words if phrase in harmless.KNOWING else rest
    return words


def fronted(words: list[str]) -> list[str]:
    """`in X, how …` becomes `how … in X`."""
    match words:
        case [preposition, name, ",", first, *_] if (
            preposition.lower() in harmless.FRONTED and first.lower() in harmless.QUESTION_WORDS
        ):
            return [*words[3:], preposition.lower(), name]
    return words


def framed(words: list[str]) -> list[str]:
    """Openings that ask the same as one of them."""
    match [word.lower() for word in words]:
        case ["how", "do" | "can", "i", action, thing, *_] if action in harmless.ACTIONS:
            named = words[4][0].isupper() or words[4][0].isdecimal()
            return ["how", "to", *words[3:]] if named or thing in harmless.DETERMINERS else words
        case ["what", "exactly", "is", *_]:
            return ["what", "is", *words[3:]]
        case ["tell" | "give" | "show", "me", "the", value, *rest] if value in harmless.VALUES and "of" in rest[:2]:
            return ["what", "is", *words[2:]]
    return words
