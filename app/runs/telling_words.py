"""Words that tell why two questions are kept apart, and those whose form must not be touched: data of app/runs/veto.py.

A reason is for metrics and for people. No word has to be listed here for two questions to be kept apart.
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NEGATIONS = _words(
    "not no never none nobody nothing nowhere neither nor without cannot unless except isn't aren't don't doesn't "
    "nicht kein keine keinen keiner nie niemals nichts ohne weder ne pas jamais aucun aucune rien sans ni "
    "sin nunca ningún ninguna nada tampoco"
)
DATES = _words(
    "january february march april may june july august september october november december monday tuesday wednesday "
    "thursday friday saturday sunday today tomorrow yesterday januar februar märz mai juni juli oktober dezember "
    "montag dienstag mittwoch donnerstag freitag samstag sonntag heute morgen gestern janvier février mars avril juin "
    "juillet août septembre octobre novembre décembre lundi mardi mercredi jeudi vendredi samedi dimanche demain hier "
    "aujourd'hui enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre lunes martes "
    "miércoles jueves viernes sábado domingo hoy mañana ayer day week month year century spring summer autumn winter"
)
UNITS = _words(
    "km m cm mm kg g mg lb lbs mi ft mile miles kilometer kilometers meter meters inch inches foot feet pound pounds "
    "gram grams kilogram kilograms ounce ounces liter liters gallon gallons celsius fahrenheit kelvin second seconds "
    "minute minutes hour hours days weeks months years usd eur gbp jpy chf dollar dollars euro euros yen byte bytes "
    "bit bits megabyte gigabyte percent degrees radians watt watts volt volts"
)
QUANTIFIERS = _words(
    "all every each any some many much few several most both either half always often sometimes rarely only "
    "alle jeder jede jedes einige viele wenige manche immer oft selten nur tous toutes chaque quelques plusieurs "
    "toujours souvent seulement todos todas cada algunos algunas muchos pocos siempre solo"
)
COMPARISONS = _words(
    "more less fewer before after first last min max minimum maximum highest lowest largest smallest biggest longest "
    "shortest oldest newest best worst better worse above below over under over increase decrease up down left right "
    "ascending descending larger smaller greater higher lower faster slower same different cheapest "
    "mehr weniger vor nach erste letzte größte kleinste höchste beste plus moins avant après premier dernier "
    "más menos antes después primero último mayor menor mejor peor"
)
LITERAL = _words(
    "say says said spell spells spelled spelling spelt write written pronounce pronounced word words letter letters "
    "phrase sentence sentences mean means meaning translate translation translated call called name named rhyme rhymes "
    "syllable syllables vowel vowels repeat rephrase rewrite paraphrase correct grammar grammatical synonym synonyms "
    "antonym antonyms plural apostrophe punctuation uppercase lowercase capitalize digit digits roman character "
    "characters string regex anagram palindrome text title lyrics lyric song band film movie book english british "
    "american german french spanish italian chinese japanese latin slang polite politely abbreviation acronym stand "
    "stands typo misspelled quote verb noun idiom reply respond output print echo "
    "heißt bedeutet übersetze übersetzen schreibt sagt wort satz buchstabe buchstaben deutsch englisch "
    "dit signifie traduis traduire mot phrase écrit anglais français significa traduce traducir dice palabra frase "
    "escribe inglés español"
)
"""Texts with one of these may be about words as such: `how is colour spelled`. They are taken as they are written."""

LANGUAGES = {
    "en": _words("the is are what how who when where why which does do of to my can i"),
    "de": _words("der die das ist sind wie wer ein eine und von für nicht ich hat mit auf im was viele"),
    "fr": _words("le la les des est sont quel quelle qui que où comment et du une dans pour il de en"),
    "es": _words("el la los las es son qué cuál quién cómo y una del para por que de en hay"),
}
"""The language with most of these is a text's language, in which its numbers are read."""
