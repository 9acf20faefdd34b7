"""The differences between two questions that change nothing: the data of app/runs/wording.py.

Anything that is not listed here counts. Before a phrase is added, look for two questions that it makes equal and whose
answers differ: `please` is listed, `the` is not (`what is the time` and `what is time`).
"""

from collections.abc import Mapping

Phrase = tuple[str, ...]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _phrases(text: str) -> tuple[Phrase, ...]:
    """Longest first, so that the first that fits is the one."""
    return tuple(sorted((tuple(line.split()) for line in text.strip().split("|")), key=len, reverse=True))


def _pairs(text: str) -> Mapping[str, str]:
    return dict(pair.split("=") for pair in text.split())


GREETINGS = _words("hi hello hey hallo guten bonjour salut hola buenos 你好 您好")
"""Left out before a comma, an exclamation mark or a full stop."""

PLEASE = _phrases("please|bitte|s'il te plaît|s'il vous plaît|por favor")
"""Left out at the start, and after a comma or a mark at the end."""

THANKS = _phrases(
    "thanks|thank you|thanks a lot|many thanks|thanks in advance|danke|vielen dank|merci|merci beaucoup|gracias|"
    "muchas gracias|谢谢"
)
"""Left out after a comma or a mark at the end."""

REQUESTS = _phrases(
    "could you please|can you please|would you please|will you please|could you kindly|kannst du bitte|"
    "können sie bitte|könntest du bitte|könnten sie bitte"
)
"""Left out at the start, whatever follows; without `please`, `can you` may ask for an ability."""

ABILITIES = _phrases("can you|could you")
ABLE = _phrases("tell me|give me|show me|help me|explain")
"""After one of ABILITIES these make it a request."""

EMBEDDINGS = _phrases(
    "tell me|i want to know|i would like to know|i'd like to know|i need to know|"
    "sag mir ,|sagen sie mir ,|kannst du mir sagen ,|können sie mir sagen ,|ich möchte wissen ,|"
    "dis-moi|dites-moi|peux-tu me dire|pouvez-vous me dire|dime|puedes decirme|puede decirme|podrías decirme"
)
"""Left out at the start before a question word."""

KNOWING = _phrases("do you know|weißt du ,")
"""Likewise, but only before a question that is turned: `do you know how to cook` asks something else."""

QUESTION_WORDS = _words(
    "what who whom whose when where why how which "
    "was wer wem wen wann wo warum wie wieviel welche welcher welches wohin woher "
    "quel quelle quels quelles qui où quand comment pourquoi combien "
    "qué quién quiénes cuál cuáles cuándo dónde cómo cuánto cuánta cuántos cuántas"
)
OPENERS = QUESTION_WORDS | _words("is are were does did explain give show tell please could can would describe list")
"""How a question or request may begin; before these a greeting is one."""

IMPERATIVES = _words(
    "translate summarize summarise rewrite rephrase correct repeat compare calculate find define answer help suggest "
    "erkläre übersetze schreibe nenne fasse vergleiche explique traduis écris explica traduce escribe"
)

ASKING = QUESTION_WORDS | _words("is are does did")
"""A text that begins so asks with and without its question mark."""

ASKING_ENDS = ("哪里", "多少", "多少钱", "吗", "是谁", "是什么")
"""Likewise a text that ends so."""

TURNED = {
    "is": _words("what who where when"),
    "are": _words("what who where when"),
    "was": _words("what who where when"),
    "were": _words("what who where when"),
    "ist": _words("was wer wo wann"),
    "sind": _words("was wer wo wann"),
    "war": _words("was wer wo wann"),
}
"""Verbs at the end of an embedded question and the words that it then begins with: `tell me what X is`."""

CONTRACTIONS: Mapping[str, Phrase] = {
    **{f"{word}'s": (word, "is") for word in ("what", "who", "where", "when", "how", "it", "that", "there")},
    **{f"{word}n't": (word, "not") for word in _words("is are was were do does did have has had could should would")},
    **{f"{word}nt": (word, "not") for word in ("is", "do", "does", "did")},
    **{f"{word}'re": (word, "are") for word in ("you", "we", "they", "what")},
    **{f"{word}'ve": (word, "have") for word in ("i", "you", "we", "they")},
    "i'm": ("i", "am"),
    "whats": ("what", "is"),
    "can't": ("can", "not"),
    "cannot": ("can", "not"),
    "won't": ("will", "not"),
}

UNITS = _words("km m cm mm kg g mg lb mi ft kWh GB MB TB KB ms h min s USD EUR GBP °C °F %")
"""May stand with and without a space after their number."""

SPELLINGS = _pairs(
    "e-mail=email okay=ok teh=the wich=which whcih=which waht=what recieve=receive definately=definitely "
    "captial=capital seperate=separate adress=address tommorow=tomorrow becuase=because"
)
"""Plain slips, in lower case only: names have their own. Not `colour`: who writes it so may be what is asked."""

VALUES = _words(
    "capital population definition height length distance price currency formula area size weight temperature age "
    "boiling melting square"
)
"""`tell me the V of X` asks what `what is the V of X` does."""

DETERMINERS = _words("a an the my this these those your")
ACTIONS = _words(
    "sort install create make use write convert learn cook delete remove update change build run start stop open "
    "close add read install configure calculate compute remove rename merge reset clean bake boil set connect"
)
"""`how do I V the N`, `how can I V the N` and `how to V the N` are the same. Not without an N: `how do I look`."""

BEFORE = OPENERS | IMPERATIVES | ACTIONS
"""What `please` at the start is left out before: elsewhere it may be part of a name."""

FRONTED = _words("in en")
"""`in X, how …` is `how … in X`."""

NAMES = _words(
    "monday tuesday wednesday thursday friday saturday sunday january february april june july september october "
    "november december africa antarctica asia europe australia austria argentina belgium bolivia brazil bulgaria "
    "canada colombia croatia cuba denmark ecuador egypt england estonia ethiopia finland france germany ghana greece "
    "hungary iceland india indonesia iran iraq ireland israel italy kenya korea latvia lithuania luxembourg malaysia "
    "mexico morocco nepal netherlands nigeria norway pakistan paraguay peru philippines poland portugal romania russia "
    "rwanda scotland senegal serbia singapore slovakia slovenia somalia spain sudan sweden switzerland syria taiwan "
    "tanzania thailand tunisia uganda ukraine uruguay venezuela vietnam zambia zimbabwe amsterdam athens barcelona "
    "beijing brussels budapest cairo copenhagen dublin helsinki istanbul lisbon london madrid moscow munich oslo paris "
    "prague rome seoul shanghai stockholm sydney tokyo toronto vienna warsaw zurich english french german italian "
    "russian spanish"
)
"""Names that are no other words with a small first letter. Not `turkey`, not `cardinals`."""
