"""Characters that hide something from a reviewer, or reorder what is seen, in a leaf's files, keys, comments and names.

Those without any use in a text of questions and answers are errors. Zero-width characters, words of two scripts and
marks of direction beside right-to-left letters are warnings: languages need them, or they may be an accident. Letters
of right-to-left scripts are no finding, for they bring their direction with them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import replace

from instructlab_like.checking.hits import Hit, found_in, others, sheets
from instructlab_like.checking.subject import Subject
from instructlab_like.taxonomy.findings import Finding, Findings
from instructlab_like.taxonomy.tree import QNA, companions

_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_TAGS = "\U000e0000-\U000e007f"
_CONTROLS = "\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_NONCHARACTERS = "\ufdd0-\ufdef" + "".join(
    chr(plane + 0xFFFE) + chr(plane + 0xFFFF) for plane in range(0, 0x110000, 0x10000)
)
_PRIVATE = "\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd"
_SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_ZERO_WIDTH = (
    "\xad\u034f\u180e\u200b-\u200d\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff0-\ufffc"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0080-\U000e00ff\U000e01f0-\U000e0fff"
)
_KINDS = re.compile(
    f"(?P<bidi_control>[{_BIDI}]+)|(?P<tag_character>[{_TAGS}]+)|(?P<control_character>[{_CONTROLS}]+)"
    f"|(?P<noncharacter>[{_NONCHARACTERS}]+)|(?P<private_use>[{_PRIVATE}]+)|(?P<replacement_character>\ufffd+)"
    f"|(?P<line_separator>[\u2028\u2029]+)|(?P<encoding>[\udc80-\udcff]+)|(?P<lone_surrogate>[\ud800-\udfff]+)"
    f"|(?P<variation_selector>[{_SELECTORS}]+)|(?P<zero_width>[{_ZERO_WIDTH}]+)"
)
_ANY = f"[{_BIDI}{_TAGS}{_CONTROLS}{_NONCHARACTERS}{_PRIVATE}\ufffd\u2028\u2029\ud800-\udfff{_SELECTORS}{_ZERO_WIDTH}]"
# Most characters are plain ASCII: they are passed over before the long list is asked.
_SUSPECT = re.compile(f"[^\\t\\n\\r -~](?<={_ANY}){_ANY}*")
_CONTROL = re.compile(f"[{_CONTROLS}]")
_MARKS = frozenset("\u061c\u200e\u200f")  # they weigh on what is beside them, and reorder no more than that

# The flags of England, Scotland and Wales: the only sequences of tag characters in general use.
_FLAGS = frozenset(
    "".join(chr(0xE0000 + ord(sign)) for sign in name) + "\U000e007f" for name in ("gbeng", "gbsct", "gbwls")
)
_BLACK_FLAG = "\U0001f3f4"

_WHY = {
    "bidi_control": ("changes the order in which text is shown", "remove it; right-to-left letters need none"),
    "tag_character": ("can carry text that nobody sees", "remove it"),
    "control_character": ("can act on a terminal, and is no text", "remove it"),
    "noncharacter": ("is none of Unicode's characters", "remove it"),
    "private_use": ("means something else in each font", "write the character that is meant"),
    "replacement_character": ("stands where a character was lost", "restore the character from the source"),
    "line_separator": ("is a line break to some programs only", "write an ordinary line break"),
    "encoding": ("is no UTF-8 text", "save the file as UTF-8"),
    "lone_surrogate": ("is half a character", "write the whole character"),
    "variation_selector": (
        "can carry text that nobody sees",
        "remove it; only one may follow an emoji or an ideograph",
    ),
    "zero_width": ("is not seen", "remove it, if the word reads the same without"),
}
_CONTROL_NAMES = {
    "\0": "NULL", "\x07": "BELL", "\x08": "BACKSPACE", "\x0b": "LINE TABULATION", "\x0c": "FORM FEED",
    "\x1b": "ESCAPE", "\x7f": "DELETE", "\x85": "NEXT LINE", "\x9b": "CONTROL SEQUENCE INTRODUCER",
}  # fmt: skip

# Scripts in which joiners choose the form of a letter, and those that show no blank between words.
_JOINING = re.compile(
    "[\u0600-\u08ff\u0900-\u109f\u1780-\u18af\u1a20-\u1aaf\u1b00-\u1c4f\ua800-\uabff\ufb50-\ufdff\ufe70-\ufefc"
    "\U00010a00-\U00011fff\U0001e900-\U0001e95f]"
)
_UNSPACED = re.compile("[\u0e00-\u109f\u1780-\u17ff\u1950-\u1aaf\u3040-\u30ff\u3400-\u9fff\ua980-\ua9df\uaa60-\uaadf]")
_PICTURE = re.compile(
    "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u2460-\u27bf\u2900-\u297f\u2b00-\u2bff"
    "\u3030\u303d\u3297\u3299\ufe0f\U0001f000-\U0001faff]"
)
_IDEOGRAPH = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")

# Letters of other scripts that look like Latin ones: capitals and o the same, the rest nearly so.
_CYRILLIC_TWINS = frozenset("АВЕЅІЇЈКМНОРСТУХҮЁӀԚԜаеорсухѕіїјһԁԛԝёӏѵ")
_GREEK_TWINS = frozenset("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο")
_NEAR_GREEK_TWINS = frozenset("αγικνρυχ")
_LATIN_TWINS = frozenset("ABCEHIJKMNOPSTXYZaceiojpsuvxyk")
_LATIN = "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f"
_OTHER = "\u0370-\u03ff\u0400-\u052f"
_SEAM = re.compile(f"[{_OTHER}](?:(?=[{_LATIN}])|(?<=[{_LATIN}].))", re.DOTALL)
_WORD_END = re.compile(r"[^\W\d_]{0,60}")
_WORD_BEGIN = re.compile(r"[^\W\d_]{1,60}\Z")


def findings(subject: Subject) -> Iterable[Finding]:
    yield from _names(subject)
    for page in sheets(subject):
        # Of a YAML file that is not UTF-8 the reader says so, at the same place.
        look_here = look if page.root is None else _look_in_yaml
        yield from (finding for finding in found_in(page, look_here) if finding.code != "encoding")
    for page in others(subject):
        yield from found_in(page, look)


def look(text: str) -> Iterator[Hit]:
    """What a reviewer would not see, or see otherwise, in a text of several lines."""
    if text.isascii():
        if _CONTROL.search(text):
            yield from _hidden(text)
        return
    yield from _hidden(text)
    yield from _mixed(text)


def _look_in_yaml(text: str) -> Iterator[Hit]:
    """As `look`, in a file that is UTF-8: what elsewhere stands for an odd byte can only be an escape there."""
    for hit in look(text):
        yield _hit("lone_surrogate", text[hit.start : hit.end], hit.start) if hit.code == "encoding" else hit


def _names(subject: Subject) -> Iterator[Finding]:
    folders = [(QNA, folder, "folder") for folder in subject.place.path.split("/")]
    files = [(name, part, "file") for name in companions(subject.place.folder) for part in name.split("/")]
    for file, name, kind in dict.fromkeys([*folders, *files]):
        if name.isascii() and name.isprintable():
            continue
        found = Findings(subject.place.naming(file))
        for character in dict.fromkeys(name):
            group = "control_character" if character in "\n\r\t" else _kind(character)
            if group:
                message = f"the {kind} name {name!a} holds {_named(character)}, which {_WHY[group][0]}"
                found.error(None, group.replace("_", "-"), message, fix=f"rename the {kind}")
                break
        yield from found.found


# --- what is not seen -------------------------------------------------------------------------------------------


def _hidden(text: str) -> Iterator[Hit]:
    """A hit for each run of characters of one kind."""
    for run in _SUSPECT.finditer(text):
        for part in _KINDS.finditer(text, run.start(), run.end()):
            group = str(part.lastgroup)
            if not _has_its_use(group, text, part.start(), part.end()):
                hit = _hit(group, part[0], part.start())
                yield replace(hit, severity="warning") if _is_mark_of_direction(text, part) else hit


def _is_mark_of_direction(text: str, found: re.Match[str]) -> bool:
    """Whether these are marks as editors of right-to-left text set them: beside such letters, in their line."""
    if found.lastgroup != "bidi_control" or not _MARKS.issuperset(found[0]):
        return False
    start = text.rfind("\n", 0, found.start()) + 1
    end = text.find("\n", found.end())
    line = text[max(start, found.start() - 200) : min(end if end >= 0 else len(text), found.end() + 200)]
    return any(unicodedata.bidirectional(letter) in ("R", "AL") and letter not in _MARKS for letter in line)


def _hit(group: str, characters: str, start: int) -> Hit:
    why, fix = _WHY[group]
    more = f" and {len(characters) - 1} more" if len(characters) > 1 else ""
    if group == "tag_character":
        spelt = "".join(chr(ord(tag) - 0xE0000) for tag in characters[:200])
        more += f" (they spell {spelt!a})"
    first = f"the byte 0x{ord(characters[0]) - 0xDC00:02X}" if group == "encoding" else _named(characters[0])
    return Hit(
        start=start,
        end=start + len(characters),
        code=group.replace("_", "-"),
        message=f"{first}{more} {why}",
        fix=fix,
        severity="warning" if group == "zero_width" else "error",
    )


def _kind(character: str) -> str | None:
    match = _KINDS.match(character)
    return match.lastgroup if match else None


def _named(character: str) -> str:
    """A character as a message may hold it: number, name and escape."""
    name = _CONTROL_NAMES.get(character) or unicodedata.name(character, "")
    return f"U+{ord(character):04X} {name}".rstrip() + f" ({ascii(character)[1:-1]})"


def _has_its_use(group: str, text: str, start: int, end: int) -> bool:
    """Whether these characters do what they are for, by what stands beside them."""
    before, after = text[start - 1 : start], text[end : end + 1]
    if group == "tag_character":
        return before == _BLACK_FLAG and text[start:end] in _FLAGS
    if end - start > 1 or group not in ("variation_selector", "zero_width"):
        return False
    character = text[start]
    if group == "variation_selector":
        return _selects(character, before, after)
    if character in "\u200c\u200d" and _JOINING.match(before):
        return True
    if character == "\u200d":
        return bool(_PICTURE.match(before) and _PICTURE.match(after))
    if character == "\u200b":
        return bool(_UNSPACED.match(before) or _UNSPACED.match(after))
    return character == "\u180e" and "\u1800" <= before <= "\u18af"


def _selects(selector: str, before: str, after: str) -> bool:
    """Whether there is a character before the selector of which it can choose a form."""
    if selector >= "\U000e0100":
        return bool(_IDEOGRAPH.match(before))
    if selector in "\ufe0e\ufe0f":
        return bool(_PICTURE.match(before)) or (bool(re.match("[0-9#*]", before)) and after == "\u20e3")
    standard = bool(before) and (unicodedata.category(before) in ("Lo", "Sm") or "\u3000" <= before <= "\u303f")
    return standard and (selector <= "\ufe02" or "\U00013000" <= before <= "\U000143fa")


# --- words of two scripts ---------------------------------------------------------------------------------------


def _mixed(text: str) -> Iterator[Hit]:
    past = 0
    for seam in _SEAM.finditer(text):
        if seam.start() < past:
            continue
        before = _WORD_BEGIN.search(text, max(0, seam.start() - 60), seam.start() + 1)
        after = _WORD_END.match(text, seam.start() + 1)
        start = before.start() if before else seam.start()
        past = after.end() if after else seam.end()
        word = text[start:past]
        if _misleads(word):
            foreign = next(letter for letter in word if "\u0370" <= letter <= "\u052f")
            yield Hit(
                start=start,
                end=past,
                code="mixed-script",
                message=f"the word {word!r} mixes Latin letters with {_named(foreign)}",
                fix="write the word in the letters of one script",
                severity="warning",
            )


def _misleads(word: str) -> bool:
    """Whether letters of one script pass for letters of the other; in µm, kΩ or NF-κB they do not."""
    cyrillic = [letter for letter in word if "\u0400" <= letter <= "\u052f"]
    greek = [letter for letter in word if "\u0370" <= letter <= "\u03ff"]
    twins = all(letter in _LATIN_TWINS for letter in word if letter not in cyrillic and letter not in greek)
    if cyrillic:
        return (twins and len(cyrillic) > 1) or all(letter in _CYRILLIC_TWINS for letter in cyrillic)
    if len(word) < 3:
        return False
    return (twins and len(greek) > 2) or all(
        letter in _GREEK_TWINS or (letter in _NEAR_GREEK_TWINS and _is_inside(word, place))
        for place, letter in enumerate(word)
        if letter in greek
    )


def _is_inside(word: str, place: int) -> bool:
    """Whether small Latin letters stand on both sides."""
    return 0 < place < len(word) - 1 and all("a" <= word[beside] <= "z" for beside in (place - 1, place + 1))
