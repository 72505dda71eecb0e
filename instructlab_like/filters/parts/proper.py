"""The names that an answer claims, and whether passage or question know them.

A capital inside a sentence marks a name, in German a noun; what opens a sentence is one if it is no ordinary word.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from instructlab_like.filters.parts.figure_support import support
from instructlab_like.filters.parts.figure_words import MONTHS, ROMAN, roman
from instructlab_like.filters.parts.ordinary import LANGUAGES, language, ordinary

MOST_PLACES = 50  # where a word's letters are looked at in a text
WORD = re.compile(r"[^\W_]+")
# A word with a capital, with what follows a hyphen or an apostrophe.
CAPITAL = re.compile(r"(?<![\w'’])(?:[A-Z]|[^\x00-\x7F\W\d_])[^\W_]*(?:(?:['’](?=[^\W\d_]{2,})|-(?=[^\W_]))[^\W_]+)*")
ENDERS = frozenset(".!?:;\n–—•*#>|…。！？·=")
OPENING = " \t\"'“”‘’«»„‚([{_*"
QUOTES = frozenset("\"“„«'‘")
ABBREVIATIONS_TEXT = """mr mrs ms dr prof st mt ft sr jr rev hon gen col capt lt sgt maj gov sen rep pres no vs fig
art vol ch sec nr hr fr bzw ca dipl ing mme mlle sra dña ph jan feb mar apr jun jul aug sept sep oct nov dec ave blvd
co inc ltd corp dept univ"""
ABBREVIATIONS = frozenset(ABBREVIATIONS_TEXT.split())
# Words beside a name that say what it is the name of; a claim without them would be the same.
TITLES_TEXT = """mr mrs ms miss dr prof professor sir lady lord dame saint st mount mt lake river city town village
county state province district street avenue road square bridge tower castle church cathedral abbey palace inc ltd llc
plc gmbh ag co president king queen prince princess emperor empress duke duchess count countess earl baron bishop
archbishop pope captain colonel general major lieutenant sergeant admiral commander minister chancellor senator
governor mayor judge justice chief doctor engineer north south east west northern southern eastern western central new
old great upper lower the and of for island islands mountain mountains ocean sea bay gulf cape valley desert forest
park republic kingdom empire day week month year century age era dynasty herr frau fräulein doktor professorin könig
königin kaiser fürst graf sankt stadt fluss see berg señor señora señorita don doña rey reina monsieur madame
mademoiselle signor signora junior senior jr sr esq phd md ii iii iv vi vii viii"""
TITLES = frozenset(TITLES_TEXT.split())
# Ordinary words that are often written with a capital without being names.
CAPITALISED_TEXT = """internet web earth sun moon god bible christian christians christianity jewish islam islamic
muslim muslims buddhist buddhism hindu hinduism protestant congress parliament senate constitution government crown
email state states federal act section chapter article part figure table appendix clause schedule annex volume page
step option question answer yes no true false not and or all must never always note example roman latin gothic arctic
antarctic tropics equator renaissance medieval enlightenment reformation allied allies axis olympic olympics phd
bachelor master doctorate i republican republicans democrat democrats democratic communist communists conservative
liberal labour"""
CAPITALISED = frozenset(CAPITALISED_TEXT.split())
LOUD_TEXT = """all any but can did do for get has how if may nor not now off one only out own per she the too two use
was who why yes you ok tv pc cd dvd id faq am pm ad bc ce bce ps nb gps ceo pdf url api sql css mba phd diy aka etc
usb www ai it hr pr no or and is are be to at by in on of an as so we he me my up us"""
LOUD = frozenset(LOUD_TEXT.split())
# Words that say what kind of body a name is of; another one is another body.
BODIES_TEXT = """institute foundation society council committee commission department ministry agency office
association party club league university college school museum library hospital station airport company corporation
bank court act law treaty cup award prize academy laboratory center centre board union federation group house hall
trust fund bureau authority service festival theatre theater gallery observatory"""
BODIES = frozenset(BODIES_TEXT.split())
ROLES_TEXT = """prime vice head executive officer director manager secretary attorney board chairman chairwoman chair
deputy supreme court crown member staff customer service project product team marketing sales human resources resource
assistant associate senior junior lead leader editor founder teacher student parent trustee commissioner inspector
constable first foreign"""
ROLES = TITLES | frozenset(ROLES_TEXT.split())
# Ordinary words that are common names of people and places too; in the middle of a sentence their capital tells.
DOUBLE_TEXT = """archer banks barnes bishop brooks browning burns bush butler carpenter chambers church clay cole
conway cook cooper crane cross day dean drake farmer field fields finch fisher forest foster fowler fox frost gardener
gardner gates gibbons glover gold gray green grey hall harding harper hart hayes heath hill hills holmes hood hope
hopper horn hunt hunter joy judge kane king knight lake lamb lane law lane long love lowe marsh martin mason may
mercer moon moore moss nash newman noble north nye page palmer park parker parks parsons payne peacock pearl perkins
piper plumber pond pope porter pound power powers price prince rhodes rich rivers rose rowe sadler savage sawyer
sexton shaw shepherd singer skinner slater sloan small snow spears spencer stark steele stone storm strong summers
swan sweet swift tanner temple thatcher turner tyler underhill vale vine wade walker wall walls ward waters watt watts
weaver webb weber webster welch wells west wheeler white wilder winters wise wolf wolfe wood woods wren wright yates
york young grant mark rose basil reed lance pearl olive amber dawn faith charity holly ivy violet jasmine iris penny
cherry ginger"""
DOUBLE = frozenset(DOUBLE_TEXT.split())
# One idea in several words: a text that has one of a row bears out the others.
SAME_TEXT = """uk britain british united-kingdom england english great-britain|us usa america american americans
united-states|eu europe european europeans|france french frenchman|germany german germans deutschland deutsch|spain
spanish spaniard spaniards españa|italy italian italians italia|netherlands dutch holland nederland|denmark danish
dane danes| sweden swedish swede swedes|norway norwegian|finland finnish finn finns|poland polish pole
poles|switzerland swiss|portugal portuguese|greece greek greeks|turkey turkish turk turks türkiye|ireland
irish|scotland scottish scots|wales welsh|china chinese|japan japanese|russia russian russians|israel israeli|iraq
iraqi|iran iranian persian persia|thailand thai|peru peruvian|philippines filipino philippine|egypt egyptian|czechia
czech czechoslovakia|slovakia slovak|hungary hungarian|rome roman romans|athens athenian|venice venetian|naples
neapolitan|genoa genoese|burma myanmar burmese|siam siamese|congo congolese|cyprus cypriot|malta maltese|lebanon
lebanese|vietnam vietnamese|canada canadian|mexico mexican|brazil brazilian| argentina argentine argentinian|chile
chilean|korea korean|india indian|austria austrian österreich|belgium belgian|islam muslim muslims islamic|christ
christian christians christianity|jew jewish jews judaism|buddha buddhist buddhism|catholic catholics
catholicism|monday mon montag|tuesday tue tues dienstag|wednesday wed mittwoch|thursday thu thurs donnerstag| friday
fri freitag|saturday sat samstag|sunday sun sonntag|wwi ww1 world-war-i first-world-war world-war-one|wwii ww2
world-war-ii second-world-war world-war-two|robert bob rob bobby|william bill will billy|richard dick rick|james jim
jimmy|thomas tom tommy|michael mike|john jack johnny|edward ed ted eddie|elizabeth liz beth betty eliza|katherine
catherine kate kathy|margaret maggie peggy|joseph joe|anthony tony|charles charlie chuck|henry harry hank|alexander
alex| samuel sam|daniel dan|david dave|benjamin ben|nicholas nick|christopher chris|steven steve stephen|andrew andy
drew| matthew matt|patrick pat|frederick fred|theodore ted teddy|gregory greg|timothy tim|kenneth ken|susan
sue|jennifer jen jenny|rebecca becky|patricia pat patty|deborah debbie|barbara barb|victoria vicky|abraham abe"""
SAME: dict[str, frozenset[int]] = {}
for _number, _row in enumerate(SAME_TEXT.replace("\n", " ").split("|")):
    for _word in _row.split():
        SAME[_word] = SAME.get(_word, frozenset()) | {_number}
# What may be added to the common beginning of two forms of one name.
FORMS_TEXT = """a e i y s es n an ian ean ish ese er ers i ic ia ism ist ists land ns ans ians eans ites ite oise ois
al us um en ens ne"""
FORMS = frozenset(FORMS_TEXT.split()) | {""}
GREEK_LIKE = re.compile(r"[Ͱ-Ͽἀ-῿Ѐ-ӿ԰-֏]")  # scripts with capitals whose names are inflected
KATAKANA = re.compile(r"[ァ-ヴー]{3,}(?:[・＝][ァ-ヴー]+)*")
DOTTED_HAN = re.compile(r"[一-鿿]{1,6}(?:[·・•][一-鿿]{1,8})+")
HAN_TITLED = re.compile(r"[一-鿿]{2,4}(?=(?:さん|氏|先生|女士|教授|博士|总统|總統|大統領|首相|将军|公司))")
SMALL_WORDS_TEXT = """of the and for de la du des und der die das y del di da e et in on"""
SMALL_WORDS = frozenset(SMALL_WORDS_TEXT.split())
HEADING = re.compile(r"^[ \t]*(?:#{1,6}\s|[*_]{1,2}[^*_\n]{1,80}[*_]{1,2}:?\s*$|[^\n]{1,80}:\s*$)")
LABEL = re.compile(r"^[ \t]*(?:[-*•–]|\d{1,3}[.)])?\s*[*_]{0,2}[^:\n*]{1,60}[*_]{0,2}:")
DETERMINERS_TEXT = """a an the this that these those my your his her its our their each every some any no another such
what which one two three first second last own same other"""
DETERMINERS = frozenset(DETERMINERS_TEXT.split())
# --- German, where nouns have capitals too
GERMAN_TITLES_TEXT = """herr herrn frau fräulein doktor dr professor professorin prof könig königin kaiser kaiserin
fürst graf gräfin herzog bischof papst präsident präsidentin kanzler minister bürgermeister architekt architektin
baumeister ingenieur ingenieurin kapitän general oberst pater schwester bruder onkel tante maler malerin dichter autor
autorin forscher forscherin physiker chemiker arzt ärztin firma familie namens heißt hieß genannt stadt dorf insel
fluss"""
GERMAN_TITLES = frozenset(GERMAN_TITLES_TEXT.split())
GERMAN_PLACES = re.compile(
    r".+(?:burg|berg|stadt|dorf|heim|hausen|furt|ingen|itz|reich|kirchen|bach|münde|hafen|brück|brücken|land|ien|ow|stedt"
    r"|leben|rode|walde|au)"
)
GERMAN_NOUN = re.compile(
    r".{3,}(?:ung|ungen|heit|heiten|keit|keiten|schaft|schaften|tion|tionen|tät|täten|nis|nisse|tum|chen|lein|ling|linge|ismus"
    r"|ik|ment|mente|ur|enz|anz|ität|erei|sal|sel|stoff|zeit|jahr|jahre|jahren|mann|leute|tag|tage|tagen|haus|häuser|platz"
    r"|werk|werke|wasser|punkt|stück|teil|teile|zahl|art|weise|kraft|recht|buch|zeug|raum|grad|meter|metern)"
)
GERMAN_MEASURES_TEXT = """liter meter kilometer gramm kilo kilogramm tonne tonnen euro mark dollar prozent million
millionen milliarde milliarden anfang ende mitte stunde stunden minute minuten sekunde sekunden glas tasse flasche
stuck paar dutzend januar februar marz april mai juni juli august september oktober november dezember montag dienstag
mittwoch donnerstag freitag samstag sonntag fruhling sommer herbst winter wasser kaffee tee bier wein milch brot"""
GERMAN_MEASURES = frozenset(GERMAN_MEASURES_TEXT.split())
GERMAN_PLACE_WORDS_TEXT = """in nach aus bei bis"""
GERMAN_PLACE_WORDS = frozenset(GERMAN_PLACE_WORDS_TEXT.split())
GERMAN_DETERMINED = re.compile(
    r"(?:d(?:er|ie|as|en|em|es)|[kmdsi]?ein(?:e[rnms]?)?|unser\w*|euer\w*|ihr\w*|dies\w+|jed\w+|welch\w+|im|am|zum|zur|vom|beim|ins|ans"
    r"|viel\w*|wenig\w*|mehr\w*|alle\w*|manch\w*|etwa|rund|\d[\d.,]*)$",
    re.IGNORECASE,
)


COMMON_WORDS = frozenset().union(*LANGUAGES.values())


def fold(text: str) -> str:
    """Case and accents removed."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", text.casefold().translate(STROKES))
    return "".join(character for character in plain if not unicodedata.combining(character))


DIGIT = re.compile(r"\d")
UNITS_TEXT = (
    "GHz MHz kHz Hz KB MB GB TB PB kWh MWh GWh kW MW GW mAh Pa kPa MPa GPa Nm dB dBm Mbit Gbit Mbps Gbps ppm rpm"
)
UNITS = frozenset(UNITS_TEXT.split())
STROKES = str.maketrans("øłđħıþðæœ", "oldhitdao")
UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})


@dataclass(frozen=True, slots=True)
class Known:
    """The words of a text by which names are recognised."""

    words: frozenset[str]
    same: frozenset[int]  # rows of SAME that it speaks of
    acronyms: frozenset[str]  # words all in capitals, folded
    capitals: str  # first letters of its words with capitals, a space for every other word
    letters: str  # first letters of all its words
    content: str  # the same, parted where a sign or one of the commonest words stands between two
    initialled: frozenset[tuple[str, str]]  # "J. Smith"
    shortened: tuple[str, ...]  # "Calif", "Prof", as abbreviations are written
    months: frozenset[int]
    named: frozenset[str]  # words with capitals that such words follow, as first names
    text: str
    language: str


INITIALS = re.compile(r"\b((?:[^\W\d_]\.[\s-]?)+)\s*(?:[a-z]+\s+)?([^\W\d_]{2,})")
SHORTENED = re.compile(r"\b([^\W\d_]{2,6})\.")
NUMERIC_DATE = re.compile(r"(?<!\d)(?:\d{4}-(\d\d)-\d\d|(\d{1,2})[./](\d{1,2})[./]\d{2,4})(?!\d)")


@lru_cache(maxsize=512)
def known(text: str) -> Known:
    """The words of a passage; remembered, for many samples share one."""
    tokens = WORD.findall(text)
    folded = [fold(token) for token in tokens]
    words = set(folded)
    if not text.isascii():
        words.update(fold(token.casefold().translate(UMLAUTS)) for token in tokens if not token.isascii())
    spaced = " ".join(folded)
    same = {row for word in words & SAME.keys() for row in SAME[word]}
    same.update(row for phrase, rows in PHRASES if phrase in spaced for row in rows)
    months = {MONTHS[word] for word in words & MONTHS.keys()}
    for match in NUMERIC_DATE.finditer(text):
        months.update(int(part) for part in match.groups() if part and 1 <= int(part) <= 12)
    return Known(
        words=frozenset(words),
        same=frozenset(same),
        acronyms=frozenset(
            [fold(token) for token in tokens if token.isupper() and len(token) > 1]
            + [fold(match[0].replace(".", "")) for match in DOTTED.finditer(text)]
        ),
        capitals="".join(
            token[0].lower() if token[0].isupper() else " " if fold(token) not in SMALL_WORDS else ""
            for token in tokens
        ),
        letters="".join(word[0] for word in folded),
        content=_runs(text),
        initialled=frozenset(
            (fold(letters)[0], fold(surname)) for letters, surname in INITIALS.findall(text) if surname[0].isupper()
        ),
        shortened=tuple({fold(match) for match in SHORTENED.findall(text) if match[0].isupper()}),
        months=frozenset(months),
        named=frozenset(fold(first) for first in FIRST_NAME.findall(text)) - COMMON_WORDS,
        text=spaced,
        language=language(text),
    )


PIECE = re.compile(r"[^\W_]+|[^\w\s'’-]+")
FIRST_NAME = re.compile(r"\b([^\W\d_a-z][^\W\d_]+) (?=[^\W\d_a-z])")
DOTTED = re.compile(r"\b(?:[A-Z]\.){2,}")
PHRASES = [(word.replace("-", " "), rows) for word, rows in SAME.items() if "-" in word]


def _runs(text: str) -> str:
    return "".join(
        " " if not piece[0].isalnum() or (word := fold(piece)) in COMMON_WORDS else word[0]
        for piece in PIECE.findall(text)
    )


@dataclass(frozen=True, slots=True)
class Candidate:
    said: str
    folded: str
    start: int
    end: int


def strangers(answer: str, passage: str, question: str) -> list[str]:
    """The names of an answer that neither passage nor question know, as they are spelled, in order."""
    waiting: list[re.Match[str]] = []  # without what has digits in it, which is looked up as a number
    for match in CAPITAL.finditer(answer):
        word = match[0]
        if (
            len(word) < 2
            or not word[0].isupper()
            or word in UNITS
            or _stands_in(passage, word)
            or _stands_in(question, word)
        ):
            continue
        if not DIGIT.search(word):
            waiting.append(match)
    found = _strange(answer, waiting, passage, question) if waiting else []
    if not answer.isascii():
        found += _unspaced(answer, passage, question)
    if found and (RANGE_OF_DAYS.search(passage) or (CLOSED_DAY.search(passage) and RANGE_OF_DAYS.search(answer))):
        found = [name for name in found if fold(name).removesuffix("s") not in DAYS]
    return list(dict.fromkeys(found))


DAYS = frozenset(("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"))
CLOSED_DAY = re.compile(r"\bclosed\s+(?:\w+\s+){0,3}(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b", re.IGNORECASE)
RANGE_OF_DAYS = re.compile(  # within which, and outside of which, the other days lie
    r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\s*(?:to|through|until|till|[-–—])\s*"
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)day|\b(?:every|each)\s+day\s+(?:but|except)\b|\bweekdays\b",
    re.IGNORECASE,
)


def _stands_in(text: str, word: str) -> bool:
    start = text.find(word)
    for _ in range(MOST_PLACES):
        if start < 0:
            break
        end = start + len(word)
        if not (text[end : end + 1].isalnum() or (start and text[start - 1].isalnum())):
            return True
        start = text.find(word, end)
    return False


def _strange(answer: str, waiting: list[re.Match[str]], passage: str, question: str) -> list[str]:
    candidates = [
        one
        for match in waiting
        if not _surely_none(answer, one := Candidate(match[0], fold(match[0]), match.start(), match.end()))
    ]
    if not candidates:
        return []
    told, asked = known(passage), known(question)
    unknown = [one for one in candidates if not _recognised(one, answer, (told, asked))]
    unknown = [one for one in unknown if not _forename(one, answer, f"{passage}\n{question}")]
    return _names(answer, unknown, told, asked) if unknown else []


def _surely_none(answer: str, one: Candidate) -> bool:
    """Whether it opens a sentence and is an ordinary word; found out before anything is looked up."""
    if one.folded in COMMON_WORDS and (not one.said.isupper() or one.folded in LOUD):
        return True
    return one.folded not in DOUBLE and _opens(answer, one) and _plain(one.folded)


def _recognised(one: Candidate, answer: str, texts: tuple[Known, ...]) -> bool:
    parts = [part for part in WORD.findall(one.folded) if len(part) > 1 and part != "s"]
    return all(any(_knows(part, text) for text in texts) for part in parts) or any(
        _abbreviates(one, answer, text) for text in texts
    )


def _forename(one: Candidate, answer: str, text: str) -> bool:
    """Whether it is a first name before a surname that the text has without any."""
    following = WORD.match(answer, one.end + 1)
    if following is None or not following[0][0].isupper() or following[0] not in text or not one.said.isalpha():
        return False
    return _stands_alone(following[0], text)


@lru_cache(maxsize=256)
def _stands_alone(surname: str, text: str) -> bool:
    """Whether the text has a surname, and never with a first name."""
    family = fold(surname)
    if family in ROLES or family in BODIES or re.search(rf"\b{re.escape(surname.lower())}\b", text):
        return False
    for before in re.finditer(
        rf"(?P<opens>^|[.!?]\W*\s|\n)?\b(?P<word>[^\W\d_]+)(?P<dot>\.?) {re.escape(surname)}\b", text
    ):
        word = fold(before["word"])
        if before["dot"] and len(word) > 1 and word not in ABBREVIATIONS:
            continue  # the end of a sentence
        named = before["word"][0].isupper() and word not in TITLES and word not in COMMON_WORDS
        if named and (before["opens"] is None or word in DOUBLE or not ordinary(word)):
            return False
    return True


def _knows(word: str, text: Known) -> bool:
    """Whether a text has this word in some form."""
    if word in text.words:
        return True
    if word.endswith("s") and (word[:-1] in text.words or (word.endswith("es") and word[:-2] in text.words)):
        return True
    if f"{word}s" in text.words or f"{word}es" in text.words:
        return True
    if (rows := SAME.get(word)) and rows & text.same:
        return True
    if (month := MONTHS.get(word)) and month in text.months:
        return True
    if "oe" in word or "ae" in word or "ue" in word:
        plain = word.replace("oe", "o").replace("ae", "a").replace("ue", "u")
        if plain in text.words:
            return True
    return _same_form(word, text)


def _same_form(word: str, text: Known) -> bool:
    """Whether the text has another form of the word: "German" and "Germany", in some scripts any ending."""
    if len(word) < 4:
        return False
    inflected = bool(GREEK_LIKE.match(word))
    shortest = 3 if inflected else 4
    for other in text.words:
        if other[:shortest] != word[:shortest] or len(other) < shortest:
            continue
        shared = 0
        for one, two in zip(word, other, strict=False):
            if one != two:
                break
            shared += 1
        if inflected and len(word) - shared <= 3 and len(other) - shared <= 3 and shared >= len(word) // 2:
            return True
        if shared >= 4 and word[shared:] in FORMS and other[shared:] in FORMS:
            return True
    return False


def _abbreviates(one: Candidate, answer: str, text: Known) -> bool:
    """Whether the word is short for what the text has in full, or the other way round."""
    folded, word = one.folded, one.said
    bare = folded.removesuffix("s") if word[-1] == "s" and word[:-1].isupper() else folded
    if word.isupper() or (len(word) > 2 and word[:-1].isupper()):
        if (
            bare in text.capitals
            or (len(bare) > 2 and bare in text.content)
            or (len(bare) > 3 and bare in text.letters)
        ):
            return True
        if ROMAN.fullmatch(word) and roman(word) in support(text.text).values:
            return True
    if text.acronyms and (initials := _run_initials(answer, one)) and not text.acronyms.isdisjoint(initials):
        return True
    following = WORD.match(answer, one.end + 1)
    if following and (folded[0], fold(following[0])) in text.initialled:
        return True
    if any(folded.startswith(short) for short in text.shortened):
        return True
    return answer[one.end : one.end + 1] == "." and any(known.startswith(folded) for known in text.words)


def _run_initials(answer: str, one: Candidate) -> set[str]:
    """The first letters of the words with capitals around a word, with and without the small ones between."""
    line_start = max(0, one.start - 60)
    tokens = [(token[0], token.start() + line_start) for token in WORD.finditer(answer[line_start : one.end + 60])]
    place = next((i for i, (_, start) in enumerate(tokens) if start == one.start), None)
    if place is None:
        return set()
    first = last = place
    while first > 0 and (tokens[first - 1][0][0].isupper() or tokens[first - 1][0] in SMALL_WORDS):
        first -= 1
    while last + 1 < len(tokens) and (tokens[last + 1][0][0].isupper() or tokens[last + 1][0] in SMALL_WORDS):
        last += 1
    found = set()
    for begin in range(first, place + 1):
        for end in range(place + 1, last + 2):
            run = [token for token, _ in tokens[begin:end]]
            if len(run) > 1:
                found.add("".join(token[0] for token in run).lower())
                found.add("".join(token[0] for token in run if token not in SMALL_WORDS).lower())
    return found


# --- which of them are names ------------------------------------------------------------------------------------


def _names(answer: str, unknown: list[Candidate], told: Known, asked: Known) -> list[str]:
    """Those unknown words with a capital that are names, by the rules of the answer's language."""
    spoken = language(answer) or told.language or asked.language
    if spoken == "de":
        return [
            one.said
            for one in unknown
            if _german_name(answer, one, unknown, told.named | asked.named, told.words | asked.words)
        ]
    return [one.said for one in unknown if _name(answer, one, unknown, english=spoken in ("en", ""))]


def _name(answer: str, one: Candidate, unknown: list[Candidate], *, english: bool) -> bool:
    folded = one.folded
    if folded in TITLES or (one.said.isupper() and _emphasised(folded)):
        return False
    plain = english and _plain(folded) and not one.said.isupper()
    opens = _opens(answer, one)
    beside = _beside(answer, one, unknown)
    if not opens and not _in_heading(answer, one):
        if not plain:
            return True
        if folded in CAPITALISED or _title_case(answer, one):
            return False
        if folded in BODIES:
            return _in_name(answer, one)
        if not _determined(answer, one) and folded not in ROLES:
            return True
        return folded not in ROLES and _beside(answer, one, unknown, titles=True)
    if not english:
        return beside and not ordinary(folded)
    if plain and not (folded in DOUBLE and beside):
        return False
    return not _plural_subject(answer, one)


def _emphasised(folded: str) -> bool:
    """Whether a word all in capitals is an ordinary one, said loudly, or an abbreviation that everybody uses."""
    return folded in LOUD or (len(folded) > 3 and ordinary(folded))


def _plain(folded: str) -> bool:
    """Whether every part of a word is an ordinary one."""
    return all(ordinary(part) for part in WORD.findall(folded) if len(part) > 1)


def _opens(answer: str, one: Candidate) -> bool:
    """Whether the word opens a sentence, a line, a quotation or a label, where any word has its capital."""
    before = answer[max(0, one.start - 14) : one.start]
    bare = before.rstrip(OPENING)
    if not bare:
        return True
    if bare[-1] in ENDERS or (bare[-1] == "," and before.strip(" ")[-1:] in QUOTES):
        if bare[-1] != ".":
            return True
        last = WORD.findall(bare)[-1:] or [""]
        return not (last[0].lower() in ABBREVIATIONS or (len(last[0]) == 1 and last[0].isupper()))
    if before.rstrip(" ")[-1:] in QUOTES and bare[-1].isalpha():
        return True
    return bool(re.search(r"(?:^|\n)[ \t]*(?:[-*•–]|\(?\w{1,3}[.)])\s*[*_\"“]*$", before))


def _in_heading(answer: str, one: Candidate) -> bool:
    """Whether it stands in a heading or a label, which may capitalise every word."""
    start = answer.rfind("\n", 0, one.start) + 1
    end = answer.find("\n", one.end)
    line = answer[start : end if end >= 0 else len(answer)]
    if HEADING.match(line):
        return True
    label = LABEL.match(line)
    return bool(label and one.end - start <= label.end() and len(label[0].split()) <= 7)


def _in_name(answer: str, one: Candidate) -> bool:
    """Whether a word goes on in a name, before or behind: "the Institute for Solar Physics", "Velmouth Institute"."""
    return bool(NAME_BEHIND.match(answer, one.end) or NAME_BEFORE.search(answer[max(0, one.start - 30) : one.start]))


NAME_BEHIND = re.compile(r"\s+(?:(?:of|for|on|in)\s+(?:the\s+)?)?[A-Z]")
NAME_BEFORE = re.compile(r"(?:^|[^.!?:]\s)[A-Z][\w'’-]+\s(?:of\s)?$")


def _title_case(answer: str, one: Candidate) -> bool:
    """Whether most words of the line have capitals, as in a title."""
    start = answer.rfind("\n", 0, one.start) + 1
    end = answer.find("\n", one.end)
    return _is_title(answer[start : end if end >= 0 else len(answer)].rstrip())


@lru_cache(maxsize=64)
def _is_title(line: str) -> bool:
    words = [word for word in WORD.findall(line) if len(word) > 3]
    return not line.endswith(".") and len(words) > 3 and sum(word[0].isupper() for word in words) > 0.6 * len(words)


def _beside(answer: str, one: Candidate, unknown: list[Candidate], *, titles: bool = False) -> bool:
    """Whether another unknown word with a capital stands next to it."""
    for other in _neighbours(one, unknown):
        between = answer[other.end : one.start] if other.end <= one.start else answer[one.end : other.start]
        if other is not one and between.strip(" .") == "" and (titles or other.folded not in TITLES):
            return True
    return False


def _neighbours(one: Candidate, unknown: list[Candidate]) -> Iterator[Candidate]:
    """Those before and behind it that are at most two characters away; `unknown` is in order."""
    at = bisect_left(unknown, one.start, key=lambda other: other.start)
    for other in unknown[max(0, at - 1) : at + 2]:
        if 0 <= one.start - other.end <= 2 or 0 <= other.start - one.end <= 2:
            yield other


def _determined(answer: str, one: Candidate) -> bool:
    before = WORD.findall(answer[max(0, one.start - 20) : one.start])
    return bool(before) and before[-1].lower() in DETERMINERS


VERBS = re.compile(
    r"\s+(?:is|was|has|had|does|did|can|could|will|would|may|might|must|became|becomes|said|says|wrote|made|built|won|led"
    r"|came|went|took|gave|got|lies|stands|began|ran|held|[a-z]+ed|[a-z]+s)\b"
)


def _plural_subject(answer: str, one: Candidate) -> bool:
    """Whether it is rather a plural that opens its sentence ("Narwhals live"), of a kind that no list of words has."""
    if not one.folded.endswith("s") or one.folded.endswith(("ss", "us", "is")):
        return False
    following = answer[one.end : one.end + 24]
    return bool(re.match(r"\s+[a-z]", following)) and not VERBS.match(following)


def _german_name(
    answer: str, one: Candidate, unknown: list[Candidate], named: frozenset[str], known: frozenset[str]
) -> bool:
    """Whether a German word with a capital is a name and no noun; only what is sure."""
    folded = one.folded
    if folded in TITLES or folded in GERMAN_TITLES or folded in GERMAN_MEASURES:
        return False
    if GERMAN_NOUN.fullmatch(one.said.lower()) and not _german_pair(one, unknown):
        return False
    before = re.findall(r"[^\W_]+", answer[max(0, one.start - 40) : one.start])
    last = before[-1].lower() if before else ""
    if answer[max(0, one.start - 3) : one.start].rstrip(" ")[-1:] in {".", "!", "?", ":"} and last not in ABBREVIATIONS:
        last = ""
    if last in GERMAN_TITLES:
        return True
    if before and _first_name(answer, one, before, known):
        return True
    if last in named and answer[one.start - len(last) - 1 : one.start - 1].lower() == last:
        return True
    determined = bool(last) and bool(GERMAN_DETERMINED.fullmatch(last))
    for other in _neighbours(one, unknown):
        if other is one or other.folded in TITLES or other.folded in GERMAN_MEASURES:
            continue
        if 0 < other.start - one.end <= 2 and answer[one.end : other.start].strip(" .") == "":
            return not determined
        if 0 < one.start - other.end <= 2 and answer[other.end : one.start].strip(" .") == "":
            return not _german_determined(answer, other)
    return last in GERMAN_PLACE_WORDS and bool(GERMAN_PLACES.fullmatch(one.said.lower()))


def _first_name(answer: str, one: Candidate, before: list[str], known: frozenset[str]) -> bool:
    """Whether right before it stands an unknown word with a capital that opens the sentence and is no noun."""
    first = before[-1]
    if not first[0].isupper() or answer[one.start - len(first) - 1 : one.start] != f"{first} " or len(first) < 3:
        return False
    folded = fold(first)
    return not (folded in known or folded in COMMON_WORDS or folded in GERMAN_MEASURES or folded in GERMAN_TITLES) and (
        not GERMAN_NOUN.fullmatch(first.lower())
        and answer[: one.start - len(first) - 1].rstrip()[-1:] in ("", ".", "!", "?")
    )


def _german_pair(one: Candidate, unknown: list[Candidate]) -> bool:
    """Whether a word that ends like a noun stands beside an unknown one that does not: "Henrik Zielinski"."""
    return any(
        not GERMAN_NOUN.fullmatch(other.said.lower()) and other.folded not in GERMAN_MEASURES
        for other in _neighbours(one, unknown)
        if other.start - one.end == 1 or one.start - other.end == 1
    )


def _german_determined(answer: str, one: Candidate) -> bool:
    before = re.findall(r"[^\W_]+", answer[max(0, one.start - 40) : one.start])
    return bool(before) and bool(GERMAN_DETERMINED.fullmatch(before[-1]))


def _unspaced(answer: str, passage: str, question: str) -> Iterator[str]:
    """Names in scripts without capitals, as far as they show: foreign ones in katakana or with dots, titled ones."""
    text = unicodedata.normalize("NFKC", f"{passage}\n{question}")
    for pattern in (KATAKANA, DOTTED_HAN, HAN_TITLED):
        for match in pattern.finditer(unicodedata.normalize("NFKC", answer)):
            if match[0] not in text and not any(part in text for part in re.split(r"[·・•＝]", match[0])):
                yield match[0]
