"""Where texts break off: words that no sentence ends in, brackets and quotation marks left open, cut words."""

from __future__ import annotations

import re

from instructlab_like.filters.parts.ordinary import language, listed, ordinary

# Words after which something must follow, in the languages that `language` tells apart.
DANGLING_TEXT = {
    "en": "the a an and or but because although whereas unless while if than whose every their its our your my into "
    "onto from between among during via per despite towards toward throughout whether upon nor within "
    "including regarding concerning like whenever wherever very",
    "de": "der die und oder aber sondern weil obwohl dass wenn falls sowie sowohl eine einen einem einer eines des "
    "dem den von vom zum zur im am beim ins für ohne gegen zwischen während wegen trotz seit deren dessen "
    "ihre ihren ihrer seine seinen seiner unsere welche welcher sehr als wie",
    "fr": "le la les un une des et ou mais de du au aux dans par chez vers sans sous que qui dont lorsque quand "
    "parce afin ce cette ces son sa ses leur leurs notre votre très pendant",
    "es": "el la los las un una unos unas y e ni pero de del en con por para sin entre desde hasta hacia según "
    "durante mediante que cuando si porque aunque su sus cuyo cuya al",
    "it": "il lo la i gli le un uno una e o ma di del dello della dei degli delle in nel nella nei con per tra fra "
    "sul sulla da dal dalla che quando se perché loro al alla ai",
    "pt": "o a os as um uma e ou mas de do da dos das em no na nos nas com por para pelo pela entre sem que quando "
    "se porque seus suas ao à",
    "nl": "de het een en of maar van voor met zonder tussen omdat hoewel als hun haar onze zeer",
    "ru": "и а но или что чтобы когда если как в на с со по для к ко от до из у о об при без через между потому "
    "который которая которые",
    "pl": "i a ale lub albo że aby kiedy jeśli jak w na z ze po dla do od przy bez przez między który która które "
    "oraz",
    "sv": "och eller men att som när från utan mellan genom en ett den det",
}  # fmt: skip
DANGLING = {code: frozenset(words.split()) for code, words in DANGLING_TEXT.items()}
# Words that end a short sentence at most: "yes, it is".
HANGING_TEXT = "of to with by at that as has have had be been is are was were may might must should"
HANGING = frozenset(HANGING_TEXT.split())
# What goes on as a rule: a modal before an adverb, "worth noting that".
GOES_ON = re.compile(
    r"\b(?:should|must|can|could|will|would|may|might|shall|ought to|have to|need to)\s+(?:not\s+)?"
    r"(?:always|never|also|only|just|simply|be|even|then)\Z"
    r"|\b(?:noting|note|mentioning|remember|recall|means|imply|implies|shows?|showed|ensures?|believe"
    r"|suggests?|important|clear|likely|possible|fact|so)\s+that\Z",
    re.IGNORECASE,
)
ELIDED = re.compile(r"\b(?:[dlnjsmtc]|qu|dell|nell|all|un)['’]$", re.IGNORECASE)
WORD = re.compile(r"[^\W\d_]+")
LETTERS = {"pl": re.compile("[ąęłńśźż]"), "sv": re.compile("å"), "ru": re.compile("[а-яё]"), "pt": re.compile("[ãõ]")}

SUFFIXES_TEXT = """s e es ed d er ers en n em ern est ing ings ly y al ally ion ions ional or ors ive ives able ible
ment ments ness ity ities ic ical ics ist ists ism ous ful less ship age ance ence ant ent ary ory ize ized ise ised
ify ation ations a as o i"""
# Words, and shortened ones, that begin longer words and are not among the ordinary ones.
WHOLE_TEXT = """side plane mate disc math maths app apps taxa pop audit advent spec specs vol inf info config vocab
diff repo debug memo demo promo intro outro photo auto mono stereo retro micro macro eco bio rep reps temp ref gym
lab labs exam ad ads fab gel con cons pro pros rev res max min avg est approx dept corp gov mil edu int dict vita
flu pub tele vet doc docs mac sub ops prep tech tags semi mini midi maxi zoo hippo rhino deli limo disco cello piano
intermezzo condo expo logo polio porn combo uni polis"""
WHOLE = frozenset(WHOLE_TEXT.split())
SUFFIXES = frozenset(SUFFIXES_TEXT.split())
OPENERS = {")": "(", "]": "[", "」": "「", "）": "（", "』": "『", "》": "《", "】": "【"}
SMILEY = re.compile(r"(?:[:;=8]|:-|;-|:')[(\[{]+")
INCHES = re.compile(r"\d\"")
DISPLAYED = re.compile(r"(?:^|\s)\\\[\s*[\w\\{(|+-][^\[\]]*[\\=^_]", re.MULTILINE)
FORMULA = re.compile(r"\\(?:frac|sqrt|text|mathbb|mathrm|left|sum|int|binom|hat|vec|bar)\b[^}]*\{[^}]*$|[_^]\{[^}]*$")

INLINE = re.compile(r"\$[^$\n]*[\\^=_][^$\n]*\$")
CUT_INLINE = re.compile(r"(?<=\s)\$[A-Za-z\\][^$\n]{0,60}\Z")


def tongues(text: str) -> tuple[str, ...]:
    """The codes of the languages whose dangling words a text has most of; English where it has none."""
    words = WORD.findall(text.casefold())
    counts = {code: sum(word in known for word in words) for code, known in DANGLING.items()}
    if found := language(text):
        counts[found] = counts.get(found, 0) + 2
    for code, letters in LETTERS.items():
        counts[code] += 3 if letters.search(text) else 0
    most = max(counts.values())
    return tuple(code for code, count in counts.items() if count == most) if most else ("en",)


def dangling(text: str, words: int) -> str | None:
    """The last word, where no sentence of so many words ends in it."""
    last = text.split()[-1].lstrip("*_(“„\"'«¿¡")
    if ELIDED.search(last):
        return last
    if found := GOES_ON.search(text[-60:]):
        return found[0]
    known = tongues(text)
    if any(last in DANGLING.get(code, ()) for code in known) or (words >= 10 and "en" in known and last in HANGING):
        return last
    return None


def cut_word(text: str, around: str) -> str | None:
    """The last word, where it is no English one, but begins one, or a longer word of the sample.

    What a suffix alone makes longer is a word by itself ("intersect" beside "intersection").
    """
    last = text.split()[-1].lstrip("*_(“„\"'«¿¡")
    if not (len(last) > 2 and last.isascii() and last.isalpha() and last.islower()) or last in WHOLE:
        return None
    if language(text) != "en" or ordinary(last):
        return None
    earlier = f"{text[: -len(last)]} {around}".casefold()
    if re.search(rf"\b{last}\b", earlier):
        return None
    longer = {word.removeprefix(last) for word in listed() if word.startswith(last)}
    if len(last) > 3:
        longer |= set(re.findall(rf"\b{last}(\w{{2,}})", earlier))
    return last if longer - SUFFIXES else None


def left_open(text: str) -> str | None:
    """The last bracket or quotation mark of a line that is opened and not closed."""
    text = SMILEY.sub(" ", text)
    for close, opening in OPENERS.items():
        at = text.rfind(opening)
        if at >= 0 and close not in text[at:]:
            return text[at:]
    # Quotation marks face both ways, language by language: what opens in one closes in another, so they are counted.
    marks = [text.count(mark) for mark in '„“”"«»']
    low, left, right, plain, inward, outward = marks
    plain -= len(INCHES.findall(text))
    if (
        (low and low > left + right + plain)
        or (not low and left > right + plain)
        or (inward + outward) % 2
        or (not low and not left and plain % 2)
    ):
        at = max(text.rfind(mark) for mark in '„“"«»')
        return text[at:] if text[at + 1 : at + 2].strip() else None
    return None


def formula_open(text: str) -> str | None:
    """A formula or environment of LaTeX that is opened and not closed."""
    for begin, end in (("\\begin{", "\\end{"), ("\\(", "\\)")):
        if text.count(begin) > text.count(end):
            return text[text.rfind(begin) :]
    if (displayed := DISPLAYED.findall(text)) and len(displayed) > text.count("\\]"):
        return text[text.rfind(displayed[-1]) :]
    if text.count("$$") % 2:
        return text[text.rfind("$$") :]
    tail = text[text.rfind("\n") + 1 :]
    if found := FORMULA.search(tail):
        return found[0]
    inline = tail.replace("$$", "").replace("\\$", "")
    if inline.count("$") % 2 and re.search(r"\s\$[^$\d\s(][^$]*[\\^=][^$]*$", inline):
        return inline[inline.rfind("$") :]
    if inline.count("$") > 2 and inline.count("$") % 2 and INLINE.search(inline) and (cut := CUT_INLINE.search(inline)):
        return cut[0]
    return None
