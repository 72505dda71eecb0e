"""Where a clause ends: at a relative word, at "and" with a new verb, at a comma that is not inside a list."""

from __future__ import annotations

import re
from typing import Literal

from instructlab_like.generation.rules.lexicon import (
    BASE,
    BE,
    CLAUSE_OPENERS,
    DETERMINERS,
    HAVE,
    HEDGES,
    MODAL,
    MONTHS,
    PARTICIPLE,
    PAST,
    POSSESSIVE,
    PREPOSITIONS,
    PRONOUNS,
    RELATIVES,
    THIRD,
)
from instructlab_like.generation.rules.tokens import JOINING, STOPS, Token, adverb, later_finite
from instructlab_like.generation.rules.values import SMALL
from instructlab_like.generation.rules.verbs import Verbal

# How a clause was parted from what follows: not at all; where its last words still say all; where a relative clause
# would complete them; where they may be one half of a pair ("oil | and gas is burned").
Cut = Literal["", "clean", "restricted", "joined"]

FINITE = BE | HAVE | MODAL
DASHES = frozenset({";", ":", "–", "—", "-"})
MAYBE_OPENERS = frozenset({"after", "before", "until", "since", "as", "once"})  # of a clause, or prepositions
LOOKAHEAD = 8  # words in which a joined clause must show its verb
ITEM_WORDS = 5


def core(words: list[Token], start: int, verbal: Verbal) -> tuple[list[Token], list[Token], Cut]:
    """The words of this clause behind its verb, the words of a further clause, and how the two were parted."""
    for at in range(start, len(words)):
        token = words[at]
        if token.word in DASHES or (token.lower in MAYBE_OPENERS and _clause_follows(words, at + 1)):
            return words[start:at], [], "clean"
        if token.lower in CLAUSE_OPENERS:
            return words[start:at], [], "restricted" if token.lower in RELATIVES else "clean"
        if token.lower in JOINING and (joined := _joined(words, at + 1, verbal)):
            further = words[at + 1 :] if token.lower == "and" else []
            return words[start:at], further, "clean" if further and joined == "verb" else "joined"
        if token.word == "," and not _comma_inside(words, start, at):
            return words[start:at], *_after_comma(words[at + 1 :], verbal)
    return words[start:], [], ""


def _after_comma(rest: list[Token], verbal: Verbal) -> tuple[list[Token], Cut]:
    if not rest:
        return [], "clean"
    follows = rest[0].lower
    if follows == "and" and len(rest) > 2 and _joined(rest, 1, verbal):
        return rest[1:], "clean"
    aside = follows.endswith("ing") or follows in CLAUSE_OPENERS | PREPOSITIONS | DETERMINERS
    listing = any(token.lower in JOINING for token in rest)
    return [], "joined" if listing and not aside else "clean"


def _clause_follows(words: list[Token], at: int) -> bool:
    if at < len(words) and (words[at].lower in PRONOUNS or words[at].lower == "being"):
        return True
    near = (token.word for token in words[at + 1 : at + 5])
    irregular = (word in PAST and word not in BASE and not word.endswith("ed") for word in near)
    return later_finite(words, at) or any(irregular)


def _joined(words: list[Token], at: int, verbal: Verbal) -> Literal["", "verb", "clause"]:
    """Whether a new clause begins at `at`: with its own verb for the same subject, or with its own subject."""
    while at < len(words) and adverb(words[at]):
        at += 1
    if at + 1 >= len(words):
        return ""
    word = words[at].word
    if word in FINITE:
        return "verb"
    opens = _opens_phrase(words[at + 1])
    if verbal.past and word in PAST and (word not in PARTICIPLE or verbal.kind == "active" or opens):
        return "verb"
    present = THIRD if verbal.auxiliary in ("does", "is") else BASE
    if not verbal.past and word in present and opens:
        return "verb"
    if word in (PAST.keys() | THIRD.keys()) - BASE.keys() - PARTICIPLE.keys() and opens:
        return "verb"  # "retired … and now lives at"
    if verbal.kind == "passive" and word in PARTICIPLE and word not in BASE and opens:
        return "clause"
    return "clause" if _own_verb(words, at) else ""


def _opens_phrase(token: Token) -> bool:
    """Whether a word begins an object or a circumstance, so that the word before it is a verb."""
    word = token.lower
    return (
        word in PREPOSITIONS | DETERMINERS | POSSESSIVE or word in SMALL or word == "one" or not token.word[0].islower()
    )


def _own_verb(words: list[Token], at: int) -> bool:
    """Whether the words from `at` on are a subject and its verb."""
    subject = words[at].lower in DETERMINERS | PRONOUNS | POSSESSIVE
    for token in words[at + 1 : at + 1 + LOOKAHEAD]:
        if token.word in STOPS or token.lower in CLAUSE_OPENERS | JOINING:
            return False
        known = token.word in THIRD or token.word in PAST
        if token.lower in FINITE or (subject and known and token.word not in BASE):
            return True
    return False


def _comma_inside(words: list[Token], start: int, at: int) -> bool:
    """Whether a comma stands inside a date, a place ("Brill, Kent") or a plain list."""
    if at == start or at + 1 >= len(words):
        return False
    before, after = words[at - 1], words[at + 1]
    if after.lower in JOINING:
        return any(token.word == "," for token in words[start:at]) and _last_item(words[at + 2 :])
    dated = re.fullmatch(r"\d{4}", after.word) and before.word.isdigit() and words[at - 2].word in MONTHS
    placed = before.word[0].isupper() and after.word[0].isupper() and at + 2 >= len(words)
    return bool(dated) or placed or _in_list(words[at + 1 :])


def _last_item(words: list[Token]) -> bool:
    """Whether "and" opens the last item of a list: a few words up to the clause's end or a preposition."""
    stops = (i for i, token in enumerate(words) if token.word in STOPS or token.lower in PREPOSITIONS)
    item = words[: next(stops, len(words))]
    return 0 < len(item) <= ITEM_WORDS and not any(token.lower in FINITE | CLAUSE_OPENERS for token in item)


def _in_list(words: list[Token]) -> bool:
    """From this comma on, items of one to five words each, the last after "and", and no verb in any."""
    items: list[list[Token]] = [[]]
    closed = False
    for token in words:
        if not closed and (token.word == "," or token.lower in JOINING):
            closed = token.word != ","
            items.append([])
        elif closed and (token.word in STOPS or token.lower in PREPOSITIONS | CLAUSE_OPENERS):
            break
        else:
            items[-1].append(token)
    items = [item for item in items if item]
    verbs = any(token.word in FINITE | HEDGES | CLAUSE_OPENERS | PRONOUNS for item in items for token in item)
    opening = any((item[0].word in PAST and item[0].word not in BASE) or item[0].word.endswith("ing") for item in items)
    return closed and len(items) > 1 and all(len(item) <= ITEM_WORDS for item in items) and not verbs and not opening
