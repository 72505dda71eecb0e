"""Planted paraphrases, and samples of the same build about something else.

No encoder is shipped, and no trained one belongs into a repository. The one in `encoder/` stands in for it: it knows
which words of the lists below mean much the same, and takes all names for one and all numbers for another. So the
figures are those of the filter – its comparisons, its order, its look at numbers and names – and not of any encoder.
`python -m benchmarks.planted.semantic` makes it anew.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from benchmarks.planted import Case, Floors
from instructlab_like.records import Lineage, Sample, digest

FOLDER = Path(__file__).parent / "encoder"
FLOORS = Floors(recall=0.98, precision=0.97, options={"encoder": str(FOLDER)})
DIMENSIONS, SPREAD, PALE = 64, 0.35, 0.1  # of vectors: numbers in each, distance of synonyms, length for grammar

Words = Mapping[str, Sequence[str]]  # by part of speech: lists of words that mean much the same

ENGLISH: Words = {
    "noun": (
        *(
            "kettle pot",
            "carpet rug",
            "physician doctor",
            "child youngster",
            "garment dress",
            "path trail",
            "forest wood",
        ),
        *("sailor mariner", "illness disease", "painting picture", "salary wage", "thief burglar", "meal dinner"),
        *("engine motor", "attorney lawyer", "summit peak", "pupil student", "journey trip", "vessel boat"),
        *("cottage cabin", "rubbish waste", "stone pebble", "guard sentry", "error mistake", "gift present"),
        *("merchant trader", "tale story", "soil earth", "blossom flower", "couch sofa", "field meadow"),
        *("pillar column", "chief leader", "tailor seamstress", "ribbon band", "cellar basement", "branch twig"),
    ),
    "adjective": (
        *(
            "silent quiet",
            "wealthy rich",
            "tired weary",
            "empty vacant",
            "odd strange",
            "brave courageous",
            "damp moist",
        ),
        *("famous renowned", "angry furious", "fragile delicate", "hidden concealed", "cheap inexpensive"),
        *("enormous gigantic", "sharp keen", "sincere honest", "dreadful terrible"),
    ),
    "verb": (
        *("repairs mends", "buys purchases", "observes watches", "conceals hides", "assists helps", "follows pursues"),
        *("collects gathers", "admires respects", "abandons deserts", "describes depicts", "guards protects"),
        *("selects chooses", "damages harms", "requires needs", "obtains gets", "divides splits"),
    ),
    "ending": (
        *("annually yearly", "often frequently", "rapidly quickly", "barely hardly", "secretly covertly"),
        *("gladly willingly", "eventually finally", "initially originally", "entirely completely", "nearly almost"),
    ),
    "grammar": ("what does the a an why tell me is it that in of how so there since do", "did who say"),
}
GERMAN: Words = {
    "noun": (
        *("Arzt Mediziner", "Bild Gemälde", "Lohn Gehalt", "Dieb Einbrecher", "Gipfel Bergspitze", "Schüler Lernender"),
        *("Pfad Weg", "Wald Forst", "Fehler Irrtum", "Händler Kaufmann", "Keller Untergeschoss", "Anwalt Jurist"),
        *("Boot Kahn", "Abfall Müll", "Teppich Läufer", "Ast Zweig", "Topf Kessel", "Matrose Seemann"),
    ),
    "adjective": (
        *(
            "stille ruhige",
            "müde erschöpfte",
            "leere unbesetzte",
            "tapfere mutige",
            "feuchte nasse",
            "berühmte bekannte",
        ),
        *("zornige wütende", "verborgene versteckte", "billige günstige", "riesige gewaltige", "seltsame sonderbare"),
    ),
    "verb": (
        *("repariert flickt", "kauft erwirbt", "beobachtet betrachtet", "versteckt verbirgt", "sammelt häuft"),
        *("bewundert verehrt", "beschützt bewacht", "beschädigt zerstört", "benötigt braucht", "teilt spaltet"),
    ),
    "ending": (
        *("jährlich alljährlich", "oft häufig", "schnell rasch", "heimlich insgeheim", "gern bereitwillig"),
        *("schließlich endlich", "anfangs ursprünglich", "völlig gänzlich"),
    ),
    "grammar": ("was tut der das ein warum sag mir ding ist im über von wie den so dort seit denn", "und wer"),
}
NAMES = "Orrin Vell Maraden Hartwick Tolby Senna Brask Quill Ostrey Lunde Carrow Wenlock Ashdown Tarn Ilmer"


@dataclass(frozen=True)
class Language:
    words: Words
    questions: tuple[str, str, str]
    sentences: tuple[str, str, str]
    close: str  # the last sentence, with name and number


IN_ENGLISH = Language(
    ENGLISH,
    (
        "What does the {noun} of {name} {ending} do?",
        "Tell me, what is it that the {noun} of {name} {ending} does?",
        "How is the {noun} of {name} {ending}?",
    ),
    (
        "The {adjective} {noun} {verb} the {noun} {ending}.",
        "There the {noun} {ending} {verb} the {adjective} {noun}.",
        "A {noun} of the {adjective} {noun} {ending} {verb} it.",
    ),
    "It is so in {name} since {number}.",
)
IN_GERMAN = Language(
    GERMAN,
    (
        "Was tut der {noun} von {name} denn {ending}?",
        "Sag mir, was der {noun} von {name} {ending} tut.",
        "Wie ist der {noun} von {name} {ending}?",
    ),
    (
        "Der {adjective} {noun} {verb} den {noun} {ending}.",
        "Dort {verb} der {noun} {ending} den {adjective} {noun}.",
        "Ein {noun} von {noun} {verb} {ending} das {adjective} Ding.",
    ),
    "So ist das in {name} seit {number}.",
)
SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Said:
    """What a sample says: sentences, and for each of their slots the list of synonyms that fills it."""

    language: Language
    question: int
    sentences: tuple[int, ...]
    lists: tuple[tuple[str, ...], ...]  # of the question and of each sentence
    name: str
    number: int

    @classmethod
    def drawn(cls, rng: random.Random, language: Language) -> Said:
        sentences = tuple(rng.randrange(3) for _ in range(4))
        said = cls(language, rng.randrange(3), sentences, (), rng.choice(NAMES.split()), rng.randrange(1500, 2000))
        return replace(said, lists=tuple(said.draw(rng, template) for template in said.templates()))

    def templates(self) -> list[str]:
        """What is written with words, in order; the name is filled in."""
        texts = [self.language.questions[self.question], *(self.language.sentences[at] for at in self.sentences)]
        return [text.replace("{name}", self.name) for text in texts]

    def draw(self, rng: random.Random, template: str) -> tuple[str, ...]:
        return tuple(rng.choice(self.language.words[slot]) for slot in SLOT.findall(template))

    def about_others(self, rng: random.Random) -> Said:
        """The same sentences about other people and things."""
        nouns = self.language.words["noun"]
        lists = [
            tuple(
                rng.choice([other for other in nouns if other != each]) if slot == "noun" else each
                for slot, each in zip(SLOT.findall(template), filled, strict=True)
            )
            for template, filled in zip(self.templates(), self.lists, strict=True)
        ]
        return replace(self, lists=tuple(lists))

    def reordered(self, rng: random.Random) -> Said:
        order = rng.sample(range(4), 4)
        lists = (self.lists[0], *(self.lists[1 + at] for at in order))
        return replace(self, sentences=tuple(self.sentences[at] for at in order), lists=lists)

    def written(self, rng: random.Random, swapped: float = 0.0) -> tuple[str, str]:
        """Question and answer; of so many slots the synonym stands there."""
        texts = []
        for template, lists in zip(self.templates(), self.lists, strict=True):
            words = iter([each.split()[rng.random() < swapped] for each in lists])
            texts.append(SLOT.sub(lambda _, words=words: next(words), template))
        close = self.language.close.format(name=self.name, number=self.number)
        return texts[0], " ".join((*texts[1:], close))


Change = Callable[[random.Random, Said], Said]
SWAPPED = 0.6


def same(_: random.Random, said: Said) -> Said:
    return said


def another_frame(rng: random.Random, said: Said) -> Said:
    return replace(said.reordered(rng), question=(said.question + 1) % 3)


def another_number(_: random.Random, said: Said) -> Said:
    return replace(said, number=said.number + 7)


def another_name(rng: random.Random, said: Said) -> Said:
    return replace(said, name=rng.choice([name for name in NAMES.split() if name != said.name]))


def others(rng: random.Random, said: Said) -> Said:
    return said.about_others(rng)


def reordered(rng: random.Random, said: Said) -> Said:
    return said.reordered(rng)


KINDS: tuple[tuple[str, Language, Change, float, bool], ...] = (
    ("synonyms", IN_ENGLISH, same, SWAPPED, True),
    ("sentences in another order", IN_ENGLISH, reordered, 0.0, True),
    ("synonyms, another order and question", IN_ENGLISH, another_frame, SWAPPED, True),
    ("synonyms, German", IN_GERMAN, same, SWAPPED, True),
    ("another number", IN_ENGLISH, another_number, SWAPPED, False),
    ("another name", IN_ENGLISH, another_name, SWAPPED, False),
    ("about others in the same words", IN_ENGLISH, others, 0.0, False),
    ("another number, German", IN_GERMAN, another_number, SWAPPED, False),
    ("about others, German", IN_GERMAN, others, 0.0, False),
)


def cases(rng: random.Random, count: int) -> Iterator[Case]:
    for number, (kind, language, change, swapped, bad) in zip(range(count), cycle(KINDS), strict=False):
        said = Said.drawn(rng, language)
        texts = said.written(rng), change(rng, said).written(rng, swapped)
        ids = sorted(digest([number, at, rng.random()])[:32] for at in range(2))  # the filter goes by their order
        yield Case(kind, tuple(sample(id, *text) for id, text in zip(ids, texts, strict=True)), bad)


def sample(id: str, question: str, answer: str) -> Sample:
    lineage = Lineage(leaf="", leaf_blob="0" * 40, method="teacher", model="planted")
    return Sample(id=id, kind="freeform", question=question, answer=answer, lineage=lineage)


def vectors(rng: random.Random) -> dict[str, list[float]]:
    """Of each word a vector: near those of its list, at about a right angle to all others."""

    def drawn(length: float) -> list[float]:
        return [length * rng.gauss(0, 1) for _ in range(DIMENSIONS)]

    found = {"[UNK]": drawn(0), "0": drawn(1)}
    found |= dict.fromkeys(NAMES.lower().split(), drawn(1))
    for words in (ENGLISH, GERMAN):
        for part, lists in words.items():
            for synonyms in lists:
                centre = drawn(PALE if part == "grammar" else 1)
                for word in synonyms.lower().split():
                    far = drawn(PALE if part == "grammar" else SPREAD)
                    found.setdefault(word, [one + other for one, other in zip(centre, far, strict=True)])
    return found


def main() -> None:
    found = vectors(random.Random(1))
    FOLDER.mkdir(exist_ok=True)
    save_file({"embeddings": np.array(list(found.values()), dtype=np.float16)}, FOLDER / "model.safetensors")
    digits = {"type": "Replace", "pattern": {"Regex": "[0-9]+"}, "content": "0"}
    tokenizer = {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Lowercase"}, digits]},
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "WordLevel", "vocab": {word: at for at, word in enumerate(found)}, "unk_token": "[UNK]"},
    }
    (FOLDER / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
