"""How one text differs from another that is much like it: edited here and there, or about something else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from rapidfuzz.distance import OSA, Indel, Levenshtein

from instructlab_like.filters.parts.opposites import opposed, same_word
from instructlab_like.filters.parts.tokens import (
    CHARACTER,
    CONTENT,
    GRAMMAR,
    NEGATION,
    NOUNS,
    NUMBER,
    Part,
    is_content,
    kind,
)
from instructlab_like.records import Sample

# How many edits that mean nothing outweigh one difference that tells: another name, a word turned round, another word.
ANOTHER, TURNED, SWAPPED = 3, 1.5, 0.5
CHARACTERS = 2 / 3  # how much less they weigh where single characters are edited, and hit more of them
SHORT = 36  # words below which one other word makes another question more easily
FEW = 12  # words below which an answer stands and falls with each of them
PHRASE = 2  # words in a row up to which an insertion or omission is taken for a mere edit
SLOTS = 3  # words in the place of others, from which on they are edits rather than other facts in one mould


@dataclass(frozen=True)
class Text:
    """A sample as it is compared: question, answer, and the passage of a grounded skill."""

    leaf: str
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, sample: Sample) -> Text:
        passage = (sample.context or "") if sample.kind == "grounded" else ""
        return cls(sample.lineage.leaf, (Part(sample.question), Part(sample.answer), Part(passage)))

    @cached_property
    def words(self) -> frozenset[str]:
        return frozenset().union(*(part.tokens for part in self.parts))

    @cached_property
    def length(self) -> int:
        """In words, of which two characters of a script without spaces make one."""
        return sum(part.length for part in self.parts)

    @cached_property
    def subject(self) -> frozenset[str]:
        """The words that carry matter in question and answer alike."""
        question, answer, _ = self.parts
        return frozenset(filter(is_content, question.words & answer.words))

    @cached_property
    def marks_nouns(self) -> bool:
        """Whether capitals are too many to mark names: German, a title, capitals throughout."""
        capitals = sum(len(part.capitals) for part in self.parts)
        return capitals > 2 + NOUNS * sum(len(part.tokens) for part in self.parts)


def likeness(one: Text, other: Text, least: float) -> float:
    """The share of words that agree in order, 2 x longest common subsequence / words of both, part by part; 0 where
    a part agrees in less than `least`."""
    differ = total = 0
    for mine, theirs in zip(one.parts, other.parts, strict=True):
        both = len(mine.tokens) + len(theirs.tokens)
        if both:
            distance = Indel.distance(mine.tokens, theirs.tokens)
            if distance > (1 - least) * both:
                return 0.0
            differ, total = differ + distance, total + both
    return 1 - differ / total if total else 1.0


class Told(Enum):
    """What the differences between two texts that are much alike make of them."""

    COPY = "nothing speaks against a copy"
    DOUBT = "something does, among many edits that mean nothing"
    ANOTHER = "they speak of different things"


def compared(one: Text, other: Text) -> Told:
    """Whether what differs between two texts that are much alike makes them speak of different things.

    Who means another thing puts names, numbers, opposites in the place of others and leaves the rest as it is; edits
    fall anywhere. So the more edits there are that mean nothing, the less do those tell that seem to mean something.
    """
    mine, theirs = one.subject - other.words, other.subject - one.words
    if (mine and theirs) or (min(one.length, other.length) >= SHORT and asks_otherwise(one, other)):
        return Told.ANOTHER
    found = Differences(one, other)
    question, answer, _ = found.swapped
    weight = ANOTHER * found.another + TURNED * (found.turned + found.phrases * found.asks_otherwise)
    if not one.parts[0].has_unspaced:
        weight += ANOTHER * bool(mine or theirs)
    elif found.edits > PHRASE:
        weight *= CHARACTERS
    if found.edits + (SWAPPED * sum(found.swapped) if found.edits else 0) < weight:
        return Told.ANOTHER
    few = 0
    if question and (answer or question < SLOTS):
        few = 2 if 0 < answer <= SLOTS and min(one.length, other.length) >= SHORT else 1
    elif answer and min(len(one.parts[1].tokens), len(other.parts[1].tokens)) < FEW:
        few = 1
    if found.edits < few:
        return Told.ANOTHER
    return Told.DOUBT if weight else Told.COPY


def asks_otherwise(one: Text, other: Text) -> bool:
    """Whether nothing differs but what the question is about: edits of a long text do not spare all of its answer."""
    if any(mine.tokens != theirs.tokens for mine, theirs in zip(one.parts[1:], other.parts[1:], strict=True)):
        return False
    mine, theirs = one.parts[0], other.parts[0]
    if mine.has_unspaced:
        return [word for word in mine.tokens if is_content(word)] != [
            word for word in theirs.tokens if is_content(word)
        ]
    gone, come = mine.words - theirs.words, theirs.words - mine.words
    return 0 < min(sum(kind(word) > GRAMMAR for word in words) for words in (gone, come)) < SLOTS


@dataclass(slots=True)
class Block:
    """Neighbouring words of one part that differ: places of what the one has there, and of what the other has."""

    lost: Sequence[int]
    gained: Sequence[int]


class Differences:
    """The differences between two texts, counted by what they are."""

    def __init__(self, one: Text, other: Text) -> None:
        self.one, self.other = one, other
        self.another = 0  # another number, name or subject in the place of one that is gone
        self.turned = 0  # a negation, an opposite, two names or words that have changed places
        self.swapped = [0, 0, 0]  # of each part: a word that carries matter in the place of another
        self.phrases = 0  # of several words, put in, left out or in the place of others
        self.edits = 0  # grammar, insertions, omissions, words moved
        self.seen: set[tuple[tuple[str, ...], tuple[str, ...]]] = set()
        self.asks_otherwise = False  # a word that carries matter in the place of another, in the question
        for number, (mine, theirs) in enumerate(zip(one.parts, other.parts, strict=True)):
            if mine.tokens != theirs.tokens:
                self.count(number, mine, theirs)
            if number == 0:
                self.asks_otherwise = bool(self.another or self.turned or self.swapped[0])

    def count(self, number: int, mine: Part, theirs: Part) -> None:
        blocks = differing(mine.tokens, theirs.tokens)
        exchanged = exchanges(blocks, mine.tokens, theirs.tokens)
        self.turned += len(exchanged) // 2 + 2 * (mine.denials != theirs.denials)
        blocks = [block for block in blocks if block not in exchanged and not self.again(block, mine, theirs)]
        self.edits += settle(blocks, mine.tokens, theirs.tokens)
        for block in blocks:
            if block.lost or block.gained:
                self.tell(number, block)

    def again(self, block: Block, mine: Part, theirs: Part) -> bool:
        """Whether the same words are in the place of the same once more, as where a name is exchanged throughout."""
        swap = (
            tuple(mine.tokens[place] for place in block.lost),
            tuple(theirs.tokens[place] for place in block.gained),
        )
        if swap in self.seen:
            self.another += 1
            return True
        if mine.has_unspaced or min(max(map(kind, words), default=0) for words in swap) > GRAMMAR:
            self.seen.add(swap)
        return False

    def tell(self, number: int, block: Block) -> None:
        mine, theirs = self.one.parts[number], self.other.parts[number]
        lost, gained = [mine.tokens[place] for place in block.lost], [theirs.tokens[place] for place in block.gained]
        old, new = list(map(kind, lost)), list(map(kind, gained))
        words = mine.has_unspaced and len(old) > 1 and len(new) > 1
        word = words and old.count(CHARACTER) > 1 and new.count(CHARACTER) > 1
        matter = old and new and max(old) >= CONTENT and max(new) >= CONTENT and not inflected(lost, gained)
        if old and new and (told := self.replaced(number, block, lost, gained)):
            self.another += told == "another"
            self.turned += told == "turned"
        elif old.count(NEGATION) != new.count(NEGATION) or word:
            self.turned += 1
        elif words or matter:
            self.swapped[number] += 1
            self.phrases += len(old) > PHRASE or len(new) > PHRASE
        elif len(old) <= PHRASE and len(new) <= PHRASE:
            self.edits += 1
        else:
            self.phrases += 1

    def replaced(self, number: int, block: Block, lost: list[str], gained: list[str]) -> str:
        """ "another" or "turned", if that is what words in the place of others are; else nothing."""
        mine, theirs = self.one.parts[number], self.other.parts[number]
        before, after = numbers(lost), numbers(gained)
        if before and after:
            gone, come = before - self.other.words, after - self.one.words
            return "another" if gone and come and not (mine.has_unspaced and slipped(gone, come)) else "turned"
        capitals = mine.named(block.lost)
        others = theirs.named(block.gained) if capitals else capitals
        nouns = bool(others) and (self.one.marks_nouns or self.other.marks_nouns)
        if others and not nouns:
            gone, come = capitals - self.other.words, others - self.one.words
            if bool(gone) == bool(come):  # a name that stays elsewhere, while another takes its place here, is an edit
                return "another" if gone else "turned"
        if number == 0:
            if asked(lost, self.one, self.other) and asked(gained, self.other, self.one):
                return "another"
            if mine.coded(block.lost) - self.other.words or theirs.coded(block.gained) - self.one.words:
                return "turned"
        if nouns and any(map(is_content, capitals)) and any(map(is_content, others)):
            return "turned"
        for word in lost:
            for instead in gained:
                if opposed(word, instead):
                    return "turned"
        return ""


def differing(one: list[str], other: list[str]) -> list[Block]:
    found, here, there = [], 0, 0
    for same in Levenshtein.editops(one, other).as_matching_blocks():
        if same.a > here or same.b > there:
            found.append(Block(range(here, same.a), range(there, same.b)))
        here, there = same.a + same.size, same.b + same.size
    return found


def exchanges(blocks: Iterable[Block], one: list[str], other: list[str]) -> list[Block]:
    """The blocks that have changed places: "Ann taught Ben" and "Ben taught Ann"."""
    waiting: dict[tuple[tuple[str, ...], tuple[str, ...]], Block] = {}
    found: list[Block] = []
    for block in blocks:
        if block.lost and block.gained:
            lost, gained = tuple(one[place] for place in block.lost), tuple(other[place] for place in block.gained)
            first = waiting.pop((gained, lost), None)
            if first is None:
                waiting[lost, gained] = block
            elif any(kind(word) != GRAMMAR for word in lost + gained):
                found += [first, block]
    return found


def settle(blocks: Sequence[Block], one: list[str], other: list[str]) -> int:
    """Take out words that have merely moved, in a block or from one to another, and say in how many edits."""
    left = {one[place] for block in blocks if not block.gained for place in block.lost}
    far = left.intersection(other[place] for block in blocks if not block.lost for place in block.gained)
    edits = len(far)
    for block in blocks:
        if block.lost and block.gained:
            near = {one[place] for place in block.lost}.intersection(other[place] for place in block.gained)
            edits += bool(near)
        else:
            near = far
        if near:
            block.lost = [place for place in block.lost if one[place] not in near]
            block.gained = [place for place in block.gained if other[place] not in near]
    return edits


def asked(words: Iterable[str], one: Text, other: Text) -> bool:
    """Whether one of the words is what the one asks and answers about, and the other does not ask about."""
    answer, others = one.parts[1].words, other.parts[0].words
    return any(word in answer and word not in others and is_content(word) for word in words)


def inflected(lost: Iterable[str], gained: Sequence[str]) -> bool:
    """Whether words that carry matter are merely in another form."""
    return all(any(same_word(word, form) for form in gained) for word in lost if is_content(word))


def numbers(words: Iterable[str]) -> set[str]:
    return {word for word in words if kind(word) == NUMBER}


def slipped(gone: set[str], come: set[str]) -> bool:
    """Whether a figure has lost or swapped a digit, or got something in, as where single characters are edited."""
    old, new = "".join(sorted(gone)), "".join(sorted(come))
    return OSA.distance(old, new) == 1 and (len(old) != len(new) or sorted(old) == sorted(new))
