"""What stands behind the verb: the object and the circumstances, each with the kind of its value."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from instructlab_like.generation.rules.lexicon import (
    BASE,
    DETERMINERS,
    NOT_PARTICIPLES,
    PARTICIPLE,
    POSSESSIVE,
    PREPOSITIONS,
)
from instructlab_like.generation.rules.tokens import JOINING, Token, adverb, between
from instructlab_like.generation.rules.values import CLOCK_WORD, OFTEN, TIMES, Kind, Value, value
from instructlab_like.generation.sentences import Text

BEFORE_NUMBERS = frozenset({"over", "about", "around", "under", "up", "past", "off"})  # "about 40 minutes"
REPEATING = frozenset({"every", "once", "twice", "each", "daily", "weekly"})
NUMERIC: frozenset[Kind] = frozenset({"count", "year", "money", "clock", "length", "weight"})


@dataclass(frozen=True)
class Part:
    """What follows the verb up to the next preposition: the object (no preposition) or a circumstance."""

    preposition: str
    text: Text  # without the preposition
    full: Text
    value: Value
    sure: bool = True  # False: may belong to an earlier part; not to be asked for
    whole: bool = True  # False: its end was cut off with a further clause; not to be said again

    @property
    def when(self) -> bool:
        return self.value.kind in TIMES


def parts(text: Text, core: Sequence[Token], *, cut_short: bool) -> list[Part]:
    """The parts of a clause's words behind its verb, marked with what is safe to ask and to repeat."""
    while core and adverb(core[0]):
        core = core[1:]
    groups = _ranges(text, _groups(text, core))
    found, sure = [], True
    for position, group in enumerate(groups):
        last = position == len(groups) - 1
        made = part(text, group)
        infinitive = _infinitive(group) and not made.when
        whole = not (last and cut_short) and not _dangling(group)
        open_end = not last and len(group) > 2 and _governs(group[-1])  # "a plateau ranging | in altitude"
        found.append(replace(made, sure=sure and whole and not infinitive and not open_end, whole=whole))
        sure = sure and not infinitive and not any(map(_governs, group[2:]))
    if found and not found[-1].text:  # "a mechanism by | which …"
        return [*found[:-2], *(replace(cut, sure=False, whole=False) for cut in found[-2:-1])]
    return found


def _infinitive(group: Sequence[Token]) -> bool:
    """ "to cache food": what follows may belong to that verb. Any bare lower-case word may be one."""
    if group[0].lower != "to" or len(group) < 2:
        return False
    word = group[1].word
    return word in BASE or (word.islower() and word not in DETERMINERS | POSSESSIVE and not _numeric(group[1]))


def _dangling(group: Sequence[Token]) -> bool:
    """ "by the press and later | by the foundation": a pair torn apart."""
    kept = [token for token in group if not adverb(token)]
    return bool(kept) and kept[-1].lower in JOINING


def part(text: Text, group: Sequence[Token]) -> Part:
    full = between(text, group).strip(" ,")
    preposition = group[0].lower if group[0].lower in PREPOSITIONS | {"of"} else ""
    if not preposition:
        return Part("", full, full, value(full.plain))
    inner = between(text, group[1:]).strip(" ,") if len(group) > 1 else full[:0]
    return Part(preposition, inner, full, _value(preposition, inner.plain))


def _value(preposition: str, inner: str) -> Value:
    if preposition in ("at", "from") and re.fullmatch(CLOCK_WORD, inner):
        return Value("clock")  # "at nine"
    ends = [value(end).kind for end in re.split(r" (?:to|until|and) ", inner)]
    if preposition in ("from", "between") and len(ends) == 2:
        timed = any(kind in TIMES for kind in ends) and all(kind in TIMES or kind == "count" for kind in ends)
        return Value("hours") if timed else value(inner)
    return value(inner)


def _groups(text: Text, core: Sequence[Token]) -> list[list[Token]]:
    groups: list[list[Token]] = []
    for position, token in enumerate(core):
        if not groups or _opens(groups[-1], core, position) or _often(text, groups[-1], core, position):
            groups.append([])
        groups[-1].append(token)
    return groups


def _opens(group: Sequence[Token], core: Sequence[Token], position: int) -> bool:
    """Whether a new part begins here: at a preposition that does not belong to the words around it."""
    word = core[position].lower
    following = core[position + 1] if position + 1 < len(core) else None
    if word not in PREPOSITIONS or (len(group) == 1 and group[0].lower in PREPOSITIONS | {"up"}):
        return False  # "up to 220 pounds"
    if following is None or not _numeric(following):
        return True
    return not (word in BEFORE_NUMBERS or (word == "to" and _numeric(core[position - 1])))


def _often(text: Text, group: Sequence[Token], core: Sequence[Token], position: int) -> bool:
    """Whether "every six minutes", "each Monday", … begins here."""
    if core[position].lower not in REPEATING or group[-1].lower in PREPOSITIONS:
        return False
    pieces = (between(text, core[position:end]).plain for end in range(len(core), position, -1))
    return any(OFTEN.fullmatch(piece) or value(piece).kind in ("day", "season", "month") for piece in pieces)


def _numeric(token: Token) -> bool:
    return value(token.word).kind in NUMERIC


def _ranges(text: Text, groups: list[list[Token]]) -> list[list[Token]]:
    """ "from nine | to five" as one part."""
    merged: list[list[Token]] = []
    for group in groups:
        starts = bool(merged) and merged[-1][0].lower == "from" and len(merged[-1]) > 1
        if starts and group[0].lower in ("to", "until") and len(group) > 1:
            ends = [value(between(text, half[1:]).plain) for half in (merged[-1], group)]
            if all(end.kind in TIMES or end.size for end in ends):
                merged[-1] = merged[-1] + group
                continue
        merged.append(group)
    return merged


def _governs(token: Token) -> bool:
    """Whether a word may govern what follows it: "the book published | in 1990"."""
    word = token.word
    regular = word.endswith(("ed", "ing")) and len(word) > 5 and word.islower() and word not in NOT_PARTICIPLES
    return regular or (word in PARTICIPLE and word not in BASE)
