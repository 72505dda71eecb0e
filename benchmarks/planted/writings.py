"""Questions with answers of several sentences, in several languages and on many matters, and answers of other forms."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

from benchmarks.planted.domains import made, name
from instructlab_like.records import Sample

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Writing:
    """A question, and sentences each of which may stand in its answer; slots are filled in anew each time."""

    language: str
    question: str
    sentences: tuple[str, ...]

    def drawn(self, rng: random.Random, fewest: int = 2) -> tuple[str, list[str]]:
        """The question and some sentences in order."""
        size = rng.randint(fewest, len(self.sentences))
        chosen = sorted(rng.sample(range(len(self.sentences)), size))
        slots = {"n": rng.randint(12, 970), "m": rng.randint(2, 11), "year": rng.randint(1802, 2019), "name": name(rng)}
        return self.question.format(**slots), [self.sentences[place].format(**slots) for place in chosen]


@dataclass(frozen=True)
class Form:
    """A clean question and answer that a filter of forms may stumble over; `form` says by what."""

    form: str
    question: str
    answer: str

    def sample(self) -> Sample:
        return made(self.question, self.answer)


def lines(file: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (HERE / file).read_text(encoding="utf-8").splitlines()]


ALL = [Writing(**line | {"sentences": tuple(line["sentences"])}) for line in lines("writings.jsonl")]
ENGLISH = [writing for writing in ALL if writing.language == "en"]
ABROAD = [writing for writing in ALL if writing.language in ("de", "fr", "es", "it", "pt", "pl", "ru", "sv")]
UNSPACED = [writing for writing in ALL if writing.language in ("zh", "ja")]
FORMS = [Form(**line) for line in lines("forms.jsonl")]


def clean(rng: random.Random, form: str = "", fewest: int = 2) -> tuple[str, Sample]:
    """A sample without a fault and the row in which it counts: prose, or a form, often the one that is named."""
    if rng.random() < 0.4:
        question, told = rng.choice(ALL).drawn(rng, fewest)
        return "clean: prose", made(question, " ".join(told))
    near = [one for one in FORMS if one.form == form]
    chosen = rng.choice(near if near and rng.random() < 0.5 else FORMS)
    return f"clean: {chosen.form}", chosen.sample()
