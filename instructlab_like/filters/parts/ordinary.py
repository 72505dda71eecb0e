"""Which words are ordinary ones and no names, and which language a text is in, as far as its commonest words tell."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from pathlib import Path

WORD = re.compile(r"[^\W\d_]+")
LISTED = Path(__file__).with_name("ordinary.txt")  # English base forms; endings are taken off below
# Endings that make one word of another; what is left must be listed, with or without a final e, y or doubled letter.
ENDINGS_TEXT = """s es d ed r er ers or ors st est ing ings ly y ness ment ments ful less ist ists al ally able ible
ably ation ations ion ions tion tions ity ities ance ances ence ences ant ants ent ents ive ives ous ously ish ize ise
izes ises ized ised izing ising ization isation ism isms like ship ships hood ward wards wise age ages ic ical ically
th dom n en ens ened ening man men woman women"""
ENDINGS = tuple(sorted(ENDINGS_TEXT.split(), key=len, reverse=True))
# Endings that no name has, safe for the exceptions, in words that are not listed.
TELLING = re.compile(
    r".{3}(?:tions?|sions?|ments?|ness|nesses|ities|isms?|ships?|hoods?|ously|fully|ically|ively|ologies|ology|ologists?"
    r"|ographers?|graphy|aceae|itis|osis|ectomy|emia|phobia|ectomies|metres?|meters?|less|ful|able|ible|ingly|edly"
    r"|izing|ising|izes|ized|ised|ization|isation|ifying|ifies|ified|ously|ative|ators?|atory|ization)"
)
NAMES_TEXT = """allen annable barker barnes bates bayer beaumont bowers cannon carpenter carr carter casey clarence
clement conner constable dunn dunstable fisher gable goodman grable hardy harper hayes huntable james jones karen
keith lawless makepeace mann mary microsoft miller minnesota moody morales moss newman norman parker perth pittman
potter powers rogers ross sanders sean sony temperance tennessee turner underwood warner weber wheeler charles moses
agnes hughes yates wells rivers roberts harding browning flemming fleming sterling rawlings hastings billings jennings
cummings manning"""
NAMES = frozenset(NAMES_TEXT.split())
STARTS = (
    "non",
    "un",
    "re",
    "pre",
    "over",
    "under",
    "sub",
    "inter",
    "anti",
    "multi",
    "out",
    "mis",
    "hydro",
    "thermo",
    "electro",
    "bio",
    "geo",
    "photo",
    "auto",
    "neuro",
    "cardio",
    "psycho",
    "socio",
    "micro",
    "macro",
    "poly",
    "mono",
    "tele",
    "trans",
    "semi",
    "post",
    "counter",
    "infra",
    "ultra",
    "pseudo",
    "para",
    "intra",
    "extra",
    "agro",
)

# The commonest words of each language that are none, or rare, in the others.
COMMON = {
    "en": "the of and is was are were to in that it its by for with as on from at which be has had this or an he "
    "she his they their there who when what how not you if your will can would than",
    "de": "der die das und ist nicht von mit ein eine einen einem einer den dem des im auf für wurde sich als auch "
    "zu zum zur aus bei nach wird sind war waren durch über oder am wie er sie es dass hat hatte",
    "fr": "le la les et est des du une dans que qui pour pas sur au aux par avec ce cette il elle sont été ont "
    "était plus se ses leur ou où en",
    "es": "el la los las y es de del que en un una por con para se no su sus fue al como más pero son está era lo "
    "le ha",
    "it": "il lo gli di che è un una per con del della dei delle nel nella sono non si da al alla fu era più come ha",
    "pt": "o os as e é de do da dos das que em um uma por com para não se foi ao na no nas nos mais como são era "
    "seu sua",
    "nl": "de het een en van is dat op te in zijn met voor niet door werd aan er om ook naar bij uit wordt was "
    "heeft die",
}
LANGUAGES = {language: frozenset(words.split()) for language, words in COMMON.items()}
LOOKED_AT = 400  # characters of a text, enough to tell its language


@cache
def listed() -> frozenset[str]:
    return frozenset(LISTED.read_text("utf-8").split())


@lru_cache(maxsize=8192)
def ordinary(word: str) -> bool:
    """Whether a word, case folded, is an English one that is no name, in this form or another."""
    if word in listed():
        return True
    if word in NAMES:
        return False
    if any(word.endswith(ending) and _base(word[: -len(ending)]) for ending in ENDINGS):
        return True
    if (stem := word.removesuffix("s")).endswith("ation") and stem.removesuffix("ion") + "e" in listed():
        return True
    if len(word) > 6 and TELLING.fullmatch(word):
        return True
    return any(
        word.startswith(start) and len(word) > len(start) + 3 and ordinary(word[len(start) :]) for start in STARTS
    )


def _base(stem: str) -> bool:
    if len(stem) < 3:
        return False
    known = listed()
    if stem in known or stem + "e" in known:
        return True
    if stem[-1] == "i" and stem[:-1] + "y" in known:
        return True
    return len(stem) > 3 and stem[-1] == stem[-2] and stem[:-1] in known


@lru_cache(maxsize=256)
def language(text: str) -> str:
    """The code of the language whose commonest words a text has most of; "" when it has none, or too few to tell."""
    words = WORD.findall(text[:LOOKED_AT].casefold())
    counts = {code: sum(word in common for word in words) for code, common in LANGUAGES.items()}
    most = max(counts, key=lambda code: counts[code])
    second = max(count for code, count in counts.items() if code != most)
    return most if counts[most] > second else ""
