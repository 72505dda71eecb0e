"""Phrases by language, read from `phrases/<subject>/<language>.txt`: what people write there, not code.

    # a comment
    [cues]               words, or a script in capitals, of which a text has one before anything else is looked for
    sorry unable HAN
    [besides]            words of which a text in this language has one, too; for cues that other languages share
    the is of
    [=program]           a definition: one alternative a line; <program> stands for it below
    language model
    [machine: ai / i me] a section: one phrase a line; it may have cues of its own, one of each group that `/` divides
    as an? <program>…\\bi\\b
    [machine.rules: my]  more of the same section, with other cues

The file `all.txt` of a subject has cues and definitions for all of its languages. A phrase is a regular expression for
text in lower case with plain apostrophes; `…` goes on within the sentence.
"""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

from instructlab_like.filters.parts.wording import Reading

FOLDER = Path(__file__).parent / "phrases"
WITHIN = "[^.!?。！？।؟]{0,80}?"
NAME = re.compile(r"<([a-z_]+)>")
HEADING = re.compile(r"\[(=?[a-z_.]+)(?:: (.+))?\]")
NEVER = re.compile(r"(?!)")


class Section(NamedTuple):
    cues: tuple[tuple[frozenset[str], tuple[str, ...]], ...]  # words, and other marks; one of each group must be there
    lines: tuple[str, ...]

    def may_be_in(self, reading: Reading) -> bool:
        for words, marks in self.cues:
            if words.isdisjoint(reading.words) and not any(mark in reading.text for mark in marks):
                return False
        return True


class Phrases:
    """What one language says about one subject; a section is compiled when it is first looked for."""

    def __init__(self, path: Path, common: Path) -> None:
        self.language = path.stem
        everywhere, here = sections(common) if common.exists() else {}, sections(path)
        cues = [*words_of(everywhere, "cues"), *words_of(here, "cues")]
        self.cues = frozenset(cue for cue in cues if not cue.isupper())
        self.scripts = frozenset(cue.lower() for cue in cues if cue.isupper())
        self.besides = frozenset(words_of(here, "besides"))
        self.sections = everywhere | here
        self.parts: dict[str, list[str]] = {}
        for section in self.sections:
            self.parts.setdefault(section.partition(".")[0], []).append(section)
        self.compiled: dict[str, re.Pattern[str]] = {}

    def __getitem__(self, section: str) -> re.Pattern[str]:
        """The pattern of all phrases of a section; one that is never found when the language has no such section."""
        lines = tuple(line for part in self.parts.get(section, ()) for line in self.sections[part].lines)
        return self.pattern(section, lines) if lines else NEVER

    def pattern(self, name: str, lines: tuple[str, ...]) -> re.Pattern[str]:
        if name not in self.compiled:
            self.compiled[name] = re.compile(self.alternatives(lines))
        return self.compiled[name]

    def alternatives(self, lines: tuple[str, ...]) -> str:
        either = "|".join(lines).replace("…", WITHIN)
        return f"(?:{NAME.sub(lambda name: self.alternatives(self.sections['=' + name[1]].lines), either)})"

    def search(self, section: str, reading: Reading, text: str) -> re.Match[str] | None:
        """The first phrase of a section in the text, of which the reading was made."""
        for part in self.parts.get(section, ()):
            known = self.sections[part]
            if known.may_be_in(reading):
                found = self.pattern(f"{part}:", known.lines).search(text)
                if found:
                    return found
        return None

    def may_be_in(self, reading: Reading) -> bool:
        """Whether the text has a word, or a script, without which none of the phrases can be there."""
        if self.scripts and self.scripts.isdisjoint(reading.scripts):
            return False
        if self.cues and not self.scripts and self.cues.isdisjoint(reading.words):
            return False
        return not (self.besides and self.besides.isdisjoint(reading.words))


def sections(path: Path) -> dict[str, Section]:
    """The lines of a file below each of its headings."""
    found: dict[str, tuple[str, list[str]]] = {}
    lines: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        heading = HEADING.fullmatch(line)
        if heading:
            _, lines = found.setdefault(heading[1], (heading[2] or "", []))
        elif line and not line.startswith("#"):
            lines.append(line)
    return {name: Section(cues_in(cues), tuple(lines)) for name, (cues, lines) in found.items()}


def cues_in(heading: str) -> tuple[tuple[frozenset[str], tuple[str, ...]], ...]:
    groups = [group.split() for group in heading.split(" / ") if group]
    return tuple(
        (frozenset(cue for cue in group if cue.isalpha()), tuple(cue for cue in group if not cue.isalpha()))
        for group in groups
    )


def words_of(found: dict[str, Section], name: str) -> list[str]:
    return " ".join(found[name].lines).split() if name in found else []


class Phrasebook:
    """What all languages say about one subject."""

    def __init__(self, subject: str) -> None:
        common = FOLDER / subject / "all.txt"
        paths = sorted((FOLDER / subject).glob("*.txt"))
        self.languages = tuple(Phrases(path, common) for path in paths if path != common)

    @cached_property
    def cues(self) -> frozenset[str]:
        return frozenset().union(*(phrases.cues for phrases in self.languages))

    def spoken_in(self, reading: Reading) -> list[Phrases]:
        """The languages whose phrases may be in the text."""
        if not reading.scripts and self.cues.isdisjoint(reading.words):
            return []
        return [phrases for phrases in self.languages if phrases.may_be_in(reading)]

    def search(self, section: str, reading: Reading, text: str) -> re.Match[str] | None:
        """The first phrase of a section in the text, in any language that the reading may be in."""
        likely = (phrases for phrases in self.languages if phrases.may_be_in(reading))
        return next((found for phrases in likely if (found := phrases.search(section, reading, text))), None)


@lru_cache
def phrasebook(subject: str) -> Phrasebook:
    """The phrases about a subject, read once."""
    return Phrasebook(subject)
