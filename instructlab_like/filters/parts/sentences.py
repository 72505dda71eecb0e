"""Sentences as they are compared word for word: tokens, stems, where they say no; and how one turns another round."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

from instructlab_like.filters.parts.figure_words import FOREIGN, MONTHS, SMALL

SPLIT = re.compile(  # after a sign that ends a sentence, at blank lines, list items and headings; not where lines wrap
    r"(?<=[.!?。！？])[\"'”’)]*\s+(?=[\"'“‘(]*[^\Wa-z_])|(?<=[。！？])|\n\s*\n|(?<=[:;|])\s*\n|\n(?=\s*(?:[-*•–#>|]|\d+[.)]\s))"
)
TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+(?:[-'’][^\W\d_]+)*|%")
MARKUP = re.compile(r"\[[^\]\n]*\]\([^)\n]*\)|[*_`#>]+|\[\d+\]|\([^()\n]{0,80}\)")
SHORTEST = 3  # tokens of a sentence
LONGEST = 60

NEGATIONS_TEXT = """not no never none neither nor cannot nobody nothing nowhere nicht kein keine keinen keinem
keiner nie niemals pas jamais aucun aucune nunca jamás ningún ninguna não non mai nessun nessuna niet geen nooit"""
NEGATIONS = frozenset(NEGATIONS_TEXT.split())
# Behind these a negation is none: "not only", "no later than", "not until".
EXEMPT_TEXT = """only just merely solely simply necessarily until till less more later earlier fewer all every always
entirely fully exclusively least longer sooner yet because one doubt matter wonder long nur bloß allein seulement solo
sólo"""
EXEMPT = frozenset(EXEMPT_TEXT.split())
LIMITING = EXEMPT - {"always", "all", "every"}
AUXILIARIES_TEXT = """do does did is are was were be been being am has have had can could will would shall should may
might must ist sind war waren hat haben hatte wird werden est sont était es son fue"""
AUXILIARIES = frozenset(AUXILIARIES_TEXT.split())
FUNCTION_TEXT = """the a an of to and or but in on at by for with as that this these those it its they their he she
his her him them which who whom whose there then so also too very thus hence therefore however moreover both such from
into than about over under ein eine einen der die das den dem des und le la les un une des el los las un una y et de
du"""
FUNCTION = AUXILIARIES | frozenset(FUNCTION_TEXT.split())
PRONOUNS_TEXT = """it they he she we this that these those there"""
PRONOUNS = frozenset(PRONOUNS_TEXT.split())
HEDGES_TEXT = """if unless whether although though while unlike except until false myth untrue denied deny denies
doubt claim claims claimed alleged allegedly believed said reportedly may might could would sometimes often usually
generally originally formerly previously once initially later eventually some many most few several certain instead
rather contrary despite only but or either neither when where before after during since because wrongly supposedly
hardly rarely seldom barely scarcely"""
HEDGES = frozenset(HEDGES_TEXT.split())
OPPOSITES_TEXT = """more less|more fewer|most least|before after|increase decrease|increases decreases|increased
decreased| increasing decreasing|rise fall|rises falls|rose fell|rising falling|raise lower|raised lowered|raises
lowers|always never| all none|every no|everyone nobody|everything nothing|often rarely|higher lower|high low|highest
lowest|larger smaller| large small|largest smallest|bigger smaller|big small|greater smaller|greater lesser|above
below|over under|north south| northern southern|northeast southwest|northwest southeast|east west|eastern western|left
right|first last|earliest latest| earlier later|early late|maximum minimum|hot cold|hotter colder|warm cold|warmer
cooler|older younger|oldest youngest|old young| old new|oldest newest|allowed forbidden|allowed prohibited|permitted
prohibited|permitted forbidden|allows forbids| allows prohibits|permits prohibits|allow prohibit|possible
impossible|legal illegal|lawful unlawful|able unable|likely unlikely| required optional|mandatory optional|mandatory
voluntary|compulsory voluntary|compulsory optional|necessary unnecessary| open closed|opens closes|opened closed|open
shut|true false|correct incorrect|won lost|wins loses|win lose|accept reject| accepted rejected|accepts
rejects|approved rejected|import export|imports exports|imported exported|internal external| inside outside|indoor
outdoor|indoors outdoors|interior exterior|male female|men women|man woman|boy girl|boys girls|father mother| son
daughter|brother sister|husband wife|king queen|day night|morning evening|summer winter|spring autumn|with without|
include exclude|includes excludes|included excluded|including excluding|improve worsen|improves worsens|improved
worsened| strong weak|stronger weaker|strongest weakest|fast slow|faster slower|fastest slowest|long short|longer
shorter|longest shortest| positive negative|success failure|succeeded failed|succeeds fails|public private|major
minor|majority minority| expensive cheap|cheaper dearer|rich poor|richer poorer|safe dangerous|safe unsafe|heavy
light|heavier lighter|heaviest lightest| wide narrow|wider narrower|deep shallow|deeper shallower|dry wet|drier
wetter|empty full|begin end|begins ends|began ended| start stop|starts stops|started stopped|starts ends|started
ended|enter leave|enters leaves|entered left|buy sell|buys sells| bought sold|lend borrow|lends borrows|present
absent|permanent temporary|upper lower|top bottom|front back|tall short| taller shorter|tallest shortest|thick
thin|thicker thinner|hard soft|harder softer|rough smooth|bright dark|brighter darker| good bad|better worse|best
worst|easy difficult|easier harder|simple complex|common rare|same different|similar different| active passive|active
inactive|visible invisible|direct indirect|natural artificial|domestic foreign|domestic wild|urban rural| ancient
modern|alive dead|born died|living dead|vertical horizontal|clockwise counterclockwise|clockwise anticlockwise|
forward backward|forwards backwards|upward downward|upwards downwards|up down|attract repel|attracts repels|attracted
repelled| absorb emit|absorbs emits|absorbed emitted|expand contract|expands contracts|expanded contracted|gain
lose|gains loses|gained lost| add remove|adds removes|added removed|create destroy|creates destroys|created
destroyed|built demolished|build demolish| support oppose|supports opposes|supported opposed|agree disagree|agreed
disagreed|agrees disagrees|praised criticised| praised criticized|loved hated|loves hates|love hate|friend
enemy|friends enemies|ally enemy|allies enemies|victory defeat| acquitted convicted|guilty innocent|guilty
acquitted|liable immune|valid invalid|binding nonbinding|granted denied|grants denies| granted refused|affirmed
reversed|plaintiff defendant|landlord tenant|buyer seller|employer employee|lender borrower| creditor debtor|benign
malignant|acute chronic|systolic diastolic|hypertension hypotension|healthy sick|fatal harmless| effective
ineffective|sensitive insensitive|soluble insoluble|acidic alkaline|acid alkaline|anterior posterior|arteries veins|
artery vein|input output|inputs outputs|upload download|uploads downloads|encrypt decrypt|encrypts decrypts|enable
disable| enables disables|enabled disabled|connected disconnected|synchronous asynchronous|online offline|ascending
descending| even odd|series parallel|anode cathode|cathode anode|boils freezes|melts freezes|heating cooling|heats
cools|heated cooled| voluntary involuntary|renewable nonrenewable|sufficient insufficient|adequate inadequate|formal
informal|literate illiterate| married unmarried|known unknown|usual unusual|stable unstable|conscious
unconscious|armed unarmed|paid unpaid|equal unequal| fair unfair|aware unaware|certain uncertain|changed
unchanged|reliable unreliable|affected unaffected|limited unlimited| at-least at-most|protestant catholic|democrat
republican|liberal conservative|freshwater saltwater|herbivore carnivore| herbivores carnivores|diurnal
nocturnal|hot-blooded cold-blooded|solid liquid|predator prey|profit loss|profits losses| surplus deficit|credit
debit|supply demand|asset liability|assets liabilities|ceiling floor|exceed undershoot|ahead behind| nearest
farthest|near far|nearer farther|inner outer|offensive defensive|offence defence|majority-owned minority-owned|
arrived departed|arrives departs|arrival departure|sunrise sunset|dawn dusk|heaven hell|peace war|wartime
peacetime|hire fire| hired fired|hired dismissed|promoted demoted|lengthen shorten|strengthen weaken|strengthened
weakened|accelerate decelerate| accelerates slows|wins loses|freezing boiling|red green|black white|yellow blue|red
blue|blue green|green yellow|black red"""
OPPOSITES: dict[str, frozenset[str]] = {}
for _pair in OPPOSITES_TEXT.replace("\n", " ").split("|"):
    _one, _other = _pair.split()
    OPPOSITES[_one] = OPPOSITES.get(_one, frozenset()) | {_other}
    OPPOSITES[_other] = OPPOSITES.get(_other, frozenset()) | {_one}
# One of a row excludes the others.
ROWS_TEXT = """monday tuesday wednesday thursday friday saturday sunday|spring summer autumn winter| north south east
west northeast northwest southeast southwest"""
ROWS = {word: row for row, words in enumerate(ROWS_TEXT.replace("\n", " ").split("|")) for word in words.split()}
# Between two whose exchange says the opposite.
DIRECTED_TEXT = """by than before after of from to over under above below behind against north south east west defeat
found build teach taught succeed kill bought buy acquire wrote write invent discover own lead led cause precede follow
invade conquer employ hire design replace become became create produce beat eat ate hunt prey contain orbit exceed
outnumber rule govern colonise colonize sue elect appoint inspire influence marry adopt rescue attack sell sold lend
lent pay paid give gave convert absorb turn evolve descend flow drain"""
DIRECTED = frozenset(DIRECTED_TEXT.split())
SYMMETRIC_TEXT = """and or with between both met meet marry married border borders equal equals near like resemble
together among versus vs each"""
SYMMETRIC = frozenset(SYMMETRIC_TEXT.split())


@dataclass(frozen=True, slots=True)
class Word:
    said: str
    folded: str
    stem: str
    capital: bool
    number: str  # its value, where it is a number
    contracted: bool  # with the "n't" of "isn't", or "cannot"
    content: bool  # whether it carries meaning


@dataclass(frozen=True, slots=True)
class Sentence:
    said: str
    words: tuple[Word, ...]
    content: frozenset[str]  # stems of the words that carry meaning
    joined: str
    question: bool


def stem(word: str) -> str:
    """A word without its endings, roughly."""
    for ending in ("ies", "ied"):
        if word.endswith(ending) and len(word) > 5:
            return word[:-3] + "y"
    for ending in ("ing", "ed", "es", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: -len(ending)]
            break
    return word[:-1] if len(word) > 4 and word[-1] == word[-2] and word[-1] not in "sl" else word.rstrip("e") or word


@lru_cache(maxsize=4096)
def word(said: str) -> Word:
    folded = said.casefold().replace("’", "'")
    if folded.endswith("'s"):
        folded = folded[:-2]
    number = ""
    if folded[0].isdigit():
        plain = (
            folded.replace(",", "")
            if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", folded)
            else folded.replace(",", ".")
        )
        number = plain
    elif folded in SMALL and folded not in ("one", "zero"):
        number = str(SMALL[folded])
    elif folded in FOREIGN["de"] or folded in FOREIGN["es"]:
        number = str(FOREIGN["de"].get(folded) or FOREIGN["es"].get(folded)) if folded not in ("once", "elf") else ""
    contracted = folded == "cannot" or folded.endswith("n't")
    content = not (contracted or folded in FUNCTION or folded in NEGATIONS)
    return Word(said, folded, number or stem(folded), said[0].isupper(), number, contracted, content)


def sentences(text: str) -> Iterator[Sentence]:
    """The sentences of a text that are of a length to be compared."""
    if "[" in text or "*" in text or "_" in text or "`" in text or "#" in text or "(" in text or ">" in text:
        text = MARKUP.sub(" ", text)
    for said in SPLIT.split(text):
        words = tuple(word(token) for token in TOKEN.findall(said))
        if SHORTEST <= len(words) <= LONGEST:
            content = frozenset(one.stem for one in words if one.content)
            joined = " ".join(one.folded for one in words)
            yield Sentence(said.strip(), words, content, f" {joined} ", said.rstrip().endswith("?"))


@lru_cache(maxsize=512)
def passage_sentences(text: str) -> tuple[tuple[Sentence, ...], str]:
    """The sentences of a passage, remembered, and all its words in one."""
    found = tuple(sentences(text))
    return found, "|".join(one.joined for one in found)


def negates(words: Sequence[Word], place: int) -> bool:
    """Whether the word at this place says no, and means it."""
    one = words[place]
    if one.folded not in NEGATIONS and not one.contracted:
        return False
    following = words[place + 1].folded if place + 1 < len(words) else ""
    return following not in EXEMPT


UNWEIGHED_TEXT = """do does did the a an any ever always"""
UNWEIGHED = frozenset(UNWEIGHED_TEXT.split())


def bare(words: Sequence[Word]) -> list[Word]:
    """The words without articles, auxiliaries of a question or a denial, and negations."""
    return [
        one
        for place, one in enumerate(words)
        if one.folded not in UNWEIGHED and not one.contracted and not negates(words, place)
    ]


@dataclass(frozen=True, slots=True)
class Turned:
    """How a sentence turns another one round."""

    rule: str
    said: str  # what stands in the one
    against: str  # and what in the other


def turned(claim: Sentence, other: Sentence, *, whole: bool = False) -> Turned | None:
    """How `claim` says the opposite of `other` in otherwise the same words; None if it does not, or nobody can tell.

    With `whole`, neither may say more than the other.
    """
    if claim.joined == other.joined or claim.question or other.question:
        return None
    mine, theirs = bare(claim.words), bare(other.words)
    keys, others = [one.stem for one in mine], [one.stem for one in theirs]
    if sorted(keys) == sorted(others) and keys != others:
        return _exchanged(mine, theirs)
    window = _window(keys, others)
    if window is None:
        return None
    begin, end = window
    if whole and (begin or end < len(theirs)):
        return None
    if _hedged(theirs[:begin], theirs[end:], mine):
        return None
    theirs = theirs[begin:end]
    changes = [
        (mine[a:b], theirs[c:d])
        for kind, a, b, c, d in SequenceMatcher(None, keys, others[begin:end], autojunk=False).get_opcodes()
        if kind != "equal"
    ]
    weighty = [(ours, yours) for ours, yours in changes if _weighs(ours) or _weighs(yours)]
    denied = _denials(claim.words, mine), _denials(other.words, theirs)
    if not changes and not whole and len(theirs) == len(bare(other.words)) and _only_denied(denied, mine):
        return Turned("denial", claim.said, other.said)
    if not changes or (not weighty and not _voices(changes)):
        return _denied(claim, other, denied, mine)
    if denied[0] != denied[1]:
        return None
    if not weighty:
        return _voice(changes, mine)
    return _substituted(*weighty[0], mine=mine) if len(weighty) == 1 else None


def _window(keys: Sequence[str], others: Sequence[str]) -> tuple[int, int] | None:
    """The part of the other sentence that the claim's words span, where most of them stand there in this order."""
    places: list[int] = []
    at = 0
    for key in keys:
        try:
            found = others.index(key, at)
        except ValueError:
            continue
        if places and (found - at > 8 or not OPPOSITES.get(key, frozenset()).isdisjoint(others[at:found])):
            continue  # "open" stands further on, and "closed" in its place
        places.append(found)
        at = found + 1
    if len(places) < max(3, len(keys) - 2):
        return None
    begin, end = places[0], places[-1] + 1
    # A replaced word at an edge belongs to the window.
    if keys[0] not in others[begin : begin + 1]:
        begin = max(0, begin - 1)
    if keys[-1] != others[end - 1]:
        end = min(len(others), end + 1)
    return begin, end


def _hedged(before: Sequence[Word], after: Sequence[Word], mine: Sequence[Word]) -> bool:
    """Whether what the other sentence says around the window may limit it."""
    own = {one.folded for one in mine}
    near = [*before, *after[:4]]
    return any(
        (one.folded in HEDGES or one.folded in NEGATIONS or one.folded in EXEMPT) and one.folded not in own
        for one in near
    )


def _weighs(words: Sequence[Word]) -> bool:
    return any(one.folded not in FUNCTION or one.folded in ("before", "after", "over", "under") for one in words)


def _denials(words: Sequence[Word], span: Sequence[Word]) -> int:
    """How often a sentence says no between the first and the last word of a span."""
    if not span:
        return 0
    begin = next((place for place, one in enumerate(words) if one is span[0]), 0)
    end = max((place for place, one in enumerate(words) if one is span[-1]), default=len(words) - 1)
    return sum(negates(words, place) for place in range(max(0, begin - 2), min(len(words), end + 2)))


PARTLY_TEXT = "some many most few several certain half often sometimes usually generally"
PARTLY = frozenset(PARTLY_TEXT.split())


def _only_denied(denied: tuple[int, int], mine: Sequence[Word]) -> bool:
    """Whether a denial is all that sets two sentences apart: then no hedge, which stands in both, makes both true, but
    that some are may be as true as that some are not."""
    for before, one in zip([None, *mine], mine, strict=False):
        if one.folded in PARTLY and not (before and before.folded == "than"):
            return False
    return sorted(denied) == [0, 1] and sum(one.folded not in FUNCTION for one in mine) > 1


def _denied(claim: Sentence, other: Sentence, denied: tuple[int, int], mine: Sequence[Word]) -> Turned | None:
    if (denied[0] + denied[1]) % 2 == 0 or max(denied) > 1:
        return None
    content = [one for one in mine if one.folded not in FUNCTION]
    limited = [any(one.folded in LIMITING for one in sentence.words) for sentence in (claim, other)]
    if len(content) < 3 or limited[0] != limited[1]:
        return None
    if any(one.folded in HEDGES and one.folded not in ("before", "after", "during", "when") for one in mine):
        return None
    return Turned("denial", claim.said, other.said)


def _substituted(ours: Sequence[Word], yours: Sequence[Word], *, mine: Sequence[Word]) -> Turned | None:
    """One word in place of another that excludes it."""
    ours = [one for one in ours if one.folded not in FUNCTION or one.folded in OPPOSITES]
    yours = [one for one in yours if one.folded not in FUNCTION or one.folded in OPPOSITES]
    if len(ours) != 1 or len(yours) != 1:
        return None
    one, other = ours[0], yours[0]
    same = sum(word.folded not in FUNCTION for word in mine) - 1
    if one.number and other.number:
        if same < 2 or not _other_number(one, other, mine):
            return None
        return Turned("other-number", one.said, other.said)
    if one.number or other.number or same < 2:
        return None
    if other.folded in OPPOSITES.get(one.folded, ()):
        return Turned("opposite", one.said, other.said)
    row = ROWS.get(one.folded)
    if row is not None and ROWS.get(other.folded) == row:
        return Turned("opposite", one.said, other.said)
    month = MONTHS.get(one.folded), MONTHS.get(other.folded)
    if None not in month and month[0] != month[1] and one.capital and other.capital:
        return Turned("opposite", one.said, other.said)
    return None


ABOUT_TEXT = """about around roughly approximately nearly almost over under least most some up circa"""
ABOUT = frozenset(ABOUT_TEXT.split())


def _other_number(one: Word, other: Word, mine: Sequence[Word]) -> bool:
    try:
        values = float(one.number), float(other.number)
    except ValueError:
        return False
    if values[0] == values[1] or any(word.folded in ABOUT for word in mine):
        return False
    low, high = sorted(values)
    rounded = low and high / low < 1.1 and ("." in one.number or "." in other.number or one.number.endswith("00"))
    return not rounded


def _voices(changes: Sequence[tuple[Sequence[Word], Sequence[Word]]]) -> bool:
    """Whether all that differs is what makes a verb passive."""
    extra = [one.folded for ours, yours in changes for one in (*ours, *yours)]
    return "by" in extra and any(one in ("is", "was", "were", "are", "been", "be") for one in extra)


def _voice(changes: Sequence[tuple[Sequence[Word], Sequence[Word]]], mine: Sequence[Word]) -> Turned | None:
    """ "A founded B" against "A was founded by B"."""
    ours = [one.folded for own, _ in changes for one in own]
    yours = [one.folded for _, their in changes for one in their]
    if ("by" in ours) == ("by" in yours) or len(ours) + len(yours) != 2:
        return None
    if sum(one.capital for one in mine[1:]) < 1 or len(mine) > 12:
        return None
    return Turned(
        "exchanged-roles", " ".join(one.said for one in mine), "the passive" if "by" in yours else "the active"
    )


def _exchanged(mine: Sequence[Word], theirs: Sequence[Word]) -> Turned | None:
    """The same words with two names, or two ends of a comparison, in each other's place."""
    first, last = _ends(mine, theirs)
    if first is None or last is None:
        return None
    (one, other), between = first, last
    if not one or not other or {w.folded for w in one} & {w.folded for w in other}:
        return None
    if any(w.folded in SYMMETRIC for w in between):
        return None
    if not any(w.folded in DIRECTED or w.stem in DIRECTED for w in between):
        return None
    return Turned("exchanged-roles", " ".join(w.said for w in one), " ".join(w.said for w in other))


def _ends(
    mine: Sequence[Word], theirs: Sequence[Word]
) -> tuple[tuple[Sequence[Word], Sequence[Word]] | None, Sequence[Word] | None]:
    """The two runs of words that have changed places, and what stands between them."""
    keys, others = [one.stem for one in mine], [one.stem for one in theirs]
    start = 0
    while start < len(keys) and keys[start] == others[start]:
        start += 1
    end = len(keys)
    while end > start and keys[end - 1] == others[end - 1]:
        end -= 1
    inner, outer = keys[start:end], others[start:end]
    size = len(inner)
    for one in range(1, size):
        for two in range(1, size - one + 1):
            middle = inner[one : size - two]
            if outer == inner[size - two :] + middle + inner[:one] and middle:
                words = mine[start:end]
                return (words[:one], words[size - two :]), words[one : size - two]
    return None, None
