"""The nouns of the line, in the order in which a sample meets them. All frozen; unknown fields are errors.

Leaf -> Seed, Chunk -> Task, Prompt -> Completion -> Sample -> Verdict -> Row -> Item, Answer -> Effect
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field

from instructlab_like.frozen import Record as Record

Plain = str | int | float | bool | None


canonical = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode


def digest(value: object) -> str:
    """SHA-256 (hex, 64 characters) of a JSON value, independent of key order and platform."""
    return hashlib.sha256(canonical(value).encode("utf-8")).hexdigest()


def blob_id(data: bytes) -> str:
    """The id Git gives this content (SHA-1 object format), whether or not it is in a repository."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


# Scripts that put no spaces between words: Thai to Myanmar, Khmer, kana and Han. A word has about two characters.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
# Vowel signs and points belong to their letter, and are no letters to `\w`: Hebrew, Arabic, the scripts of India, Thai
# to Khmer. Without them two Hindi or Thai words are one.
MARKS = (
    "\u0300-\u036f\u0591-\u05bd\u05bf-\u05c7\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff\u0e31\u0e34-\u0e3a\u0e47-\u0e4e"
    "\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u0f71-\u0f84\u102b-\u103e\u1056-\u109d\u17b4-\u17d3\u17dd"
)
WORD = re.compile(rf"\w[\w{MARKS}]*|[+*/×÷=<>^%]|[-−](?=\s?\d)")
NEGATIVE = re.compile(rb"-[\s\x1c-\x1f\x85\xa0]?\d")
# Signs that European texts have besides Latin-1, as they are read alike.
ALIKE = dict.fromkeys("’‘“”„–—…•", ",")
# Latin-1, but for signs of arithmetic and for what stands for several characters or for one beyond it.
ORDINARY = bytes(code for code in range(256) if chr(code) not in "+-*/=<>^%×÷²³¹¼½¾µ")
FOLDED = bytes(
    ord(unicodedata.normalize("NFKC", sign.lower())) if WORD.fullmatch(sign) and sign not in "¼½¾µ" else ord(" ")
    for sign in map(chr, range(256))
)


def normalise(text: str) -> str:
    """Case, width, punctuation and spacing removed: what counts as the same text everywhere in the project.

    Signs of arithmetic stay, for "5 + 3" and "5 - 3" are two questions; a hyphen stays only before a digit.
    """
    data = latin(text)
    signs = b"-" if data is None else data.translate(None, ORDINARY)
    if data is None or not signs.isascii() or (b"-" in signs and NEGATIVE.search(data)):
        return " ".join(WORD.findall(unicodedata.normalize("NFKC", text).casefold()))
    even = data.translate(FOLDED).replace(b"\xdf", b"ss")
    for code in set(signs):
        even = even.replace(bytes([code]), bytes([32, code, 32]))
    return " ".join(even.decode("latin-1").split())


def latin(text: str) -> bytes | None:
    """The text in Latin-1, but for signs that are read like others in it; None when there is more."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        if text[error.start] not in ALIKE:
            return None
    for sign, alike in ALIKE.items():
        text = text.replace(sign, alike)
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return None


def ngrams(text: str, size: int = 8) -> frozenset[tuple[str, ...]]:
    """The word n-grams of a normalised text; a text shorter than `size` words is one n-gram of all its words."""
    words = normalise(text).split()
    if not words:
        return frozenset()
    return frozenset(tuple(words[i : i + size]) for i in range(max(1, len(words) - size + 1)))


# --- taxonomy ---------------------------------------------------------------------------------------------------


class Pair(Record):
    question: str
    answer: str


class Seed(Record):
    """One seed example: one pair for a skill, three or more about one context for knowledge."""

    number: int  # from 1, in file order
    line: int  # of qna.yaml, from 1
    context: str | None = None
    pairs: tuple[Pair, ...]


Metric = Literal["exact", "f1", "contains", "number", "choice", "judge", "perplexity"]


class HeldOut(Record):
    """A question that no teacher and no training ever sees."""

    line: int  # of heldout.yaml
    question: str
    answer: str
    accept: tuple[str, ...] = ()  # other answers that count as right
    context: str | None = None  # given to the model with the question, when present
    metric: Metric = "exact"
    options: tuple[str, ...] = ()  # of a choice; the answer is one of them
    rubric: str | None = None  # what a judge looks at


class IntegerParameter(Record):
    kind: Literal["integer"] = "integer"
    low: int
    high: int  # inclusive
    step: Annotated[int, Field(ge=1)] = 1


class ChoiceParameter(Record):
    kind: Literal["choice"] = "choice"
    of: Annotated[tuple[str | int | float, ...], Field(min_length=1)]


class SampleParameter(Record):
    """`count` different values out of `of`, in drawn order."""

    kind: Literal["sample"] = "sample"
    of: Annotated[tuple[str | int | float, ...], Field(min_length=1)]
    count: Annotated[int, Field(ge=1)]


Parameter = Annotated[IntegerParameter | ChoiceParameter | SampleParameter, Field(discriminator="kind")]


class Simulation(Record):
    """Typed parameters, question templates and an answer template: verified pairs without a model."""

    parameters: Annotated[dict[str, Parameter], Field(min_length=1)]
    questions: Annotated[tuple[str, ...], Field(min_length=1)]  # Jinja, sandboxed; one is drawn per pair
    answer: str  # Jinja, sandboxed; must give the answer's text
    held_out_questions: tuple[str, ...] = ()  # phrasings kept for evaluation; empty: `questions` on fresh draws


class DocumentSource(Record):
    repo: str  # URL, or "." for files of this very tree
    commit: str  # 7 to 40 hex digits; "HEAD" only with "."
    patterns: tuple[str, ...]  # globs over the repository's tree, or relative to the leaf with "."


class LeafBase(Record):
    path: str  # of the leaf's folder below the taxonomy's root, with "/": "knowledge/science/tides"
    blob: str  # Git blob id of qna.yaml as it stands in the working tree
    version: int
    created_by: str
    seeds: tuple[Seed, ...]
    held_out: tuple[HeldOut, ...] = ()


class Knowledge(LeafBase):
    kind: Literal["knowledge"] = "knowledge"
    domain: str
    outline: str
    source: DocumentSource


class Skill(LeafBase):
    kind: Literal["skill"] = "skill"
    task: str
    simulation: Simulation | None = None

    @property
    def grounded(self) -> bool:
        return all(seed.context for seed in self.seeds)


Leaf = Annotated[Knowledge | Skill, Field(discriminator="kind")]


class LeafOrigin(Record):
    """Where a leaf comes from; stands once per leaf in run.yaml. Outside Git commit and author are None."""

    path: str
    blob: str
    commit: str | None
    author: str | None
    dirty: bool


class Chunk(Record):
    """A piece of a document; `text` is exactly bytes `start:end` of blob `blob`, decoded as UTF-8."""

    repo: str
    commit: str  # the tree's own HEAD is written as "HEAD": an unrelated commit must change no byte
    document: str  # path inside the repository
    blob: str
    start: int  # byte offset
    end: int
    headings: tuple[str, ...] = ()  # titles above the chunk, outermost first
    text: str

    @property
    def id(self) -> str:
        return f"{self.blob[:12]}:{self.start}-{self.end}"


# --- generation -------------------------------------------------------------------------------------------------

Role = Literal["system", "user", "assistant"]


class Message(Record):
    role: Role
    content: str


class Sampling(Record):
    temperature: Annotated[float, Field(ge=0)] = 0.7
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    max_tokens: Annotated[int, Field(ge=1)] = 1024
    seed: int | None = 0
    stop: tuple[str, ...] = ()


class Turn(Record):
    """One answer of a teacher on the way to a sample."""

    step: str  # of the flow
    role: str
    template: str
    template_blob: str
    model: str
    call: str  # Prompt.key
    position: int = 0  # from 0, of the group in the answer
    draw: int = 0


class Lineage(Record):
    """Everything a sample descends from; blob ids, never commits, so an unrelated commit changes nothing.

    `model`, `template` and `draw` are those of the turn that wrote the sample's answer; `turns` holds all of them.
    """

    leaf: str
    leaf_blob: str
    method: Literal["teacher", "rules", "simulation", "given"]  # given: read from a file from elsewhere
    model: str  # the teacher's identity; "rules/1", "simulation/1" for the model-free methods; "" where nobody says
    flow: str | None = None
    flow_blob: str | None = None
    turns: tuple[Turn, ...] = ()  # in the order in which they were asked
    seed: int | None = None  # number of the seed example shown to the teacher
    chunk: str | None = None  # Chunk.id
    template: str | None = None  # "knowledge/pairs.j2"
    template_blob: str | None = None
    params: dict[str, Plain | tuple[Plain, ...]] | None = None  # a simulation's; or where it stands on a flow's axes
    draw: int = 0
    parents: tuple[str, ...] = ()
    depth: int = 0  # synthetic generations between this sample and human text


class Prompt(Record):
    messages: tuple[Message, ...]
    sampling: Sampling
    yields: tuple[str, ...]  # what each group of the answer holds, in order: ("question", "answer")
    answer_schema: str | None = None  # JSON Schema of the whole answer, as canonical JSON; None: tags
    # For each text, the tag that opens it and those that may close it; None: numbered tags. How an answer is read
    # changes nothing about what is asked, so it is in no call key.
    tags: Annotated[tuple[tuple[str, ...], ...] | None, Field(exclude_if=lambda tags: tags is None)] = None
    lineage: Lineage

    @cached_property
    def request(self) -> str:
        """What is asked, as canonical JSON: messages, model, sampling, form of the answer, draw; nothing else."""
        asked = {
            "messages": [{"role": message.role, "content": message.content} for message in self.messages],
            "model": self.lineage.model,
            "sampling": self.sampling.model_dump(),
            "yields": self.yields,
            "draw": self.lineage.draw,
        }
        return canonical(asked if self.answer_schema is None else asked | {"schema": self.answer_schema})

    @cached_property
    def key(self) -> str:
        """The call key: the same question to the same model is asked once, whatever leaf or template it came from."""
        return hashlib.sha256(self.request.encode("utf-8")).hexdigest()


class AskTask(Record):
    """The first prompt of a walk through a flow; `chunk` is what its pairs are about, when they are about a text."""

    method: Literal["teacher"] = "teacher"
    flow: str
    step: str
    role: str
    prompt: Prompt
    chunk: Chunk | None = None


class RulesTask(Record):
    method: Literal["rules"] = "rules"
    flow: str = "rules"
    leaf: str
    leaf_blob: str
    chunk: Chunk


class SimulationTask(Record):
    method: Literal["simulation"] = "simulation"
    flow: str = "simulation"
    leaf: str
    leaf_blob: str
    simulation: Simulation
    count: int
    seed: int


Task = Annotated[AskTask | RulesTask | SimulationTask, Field(discriminator="method")]


class Completion(Record):
    key: str
    text: str
    finish_reason: str  # "stop", "length", or what the server said
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Sample(Record):
    """A question and an answer about to be judged. `context` is the passage it is asked about, when there is one."""

    id: str
    kind: Literal["knowledge", "freeform", "grounded"]
    question: str
    answer: str
    context: str | None = None  # part of the question for a grounded skill; the chunk's text for knowledge
    evidence: tuple[int, int] | None = None  # character span of `context` that holds the answer
    lineage: Lineage

    @property
    def messages(self) -> tuple[Message, ...]:
        """What is trained: closed-book for knowledge, with its context for a grounded skill."""
        asked = with_context(self.question, self.context) if self.kind == "grounded" else self.question
        return (Message(role="user", content=asked), Message(role="assistant", content=self.answer))

    @property
    def duplicate_key(self) -> str:
        return digest([normalise(message.content) for message in self.messages])


def with_context(question: str, context: str | None) -> str:
    """How a passage and a question about it are put to a model, in training and in evaluation alike."""
    return f"{context.strip()}\n\n{question}" if context else question


def sample_id(leaf: str, flow: str, *made: tuple[str, int]) -> str:
    """Of the calls that wrote the sample, each by its key and the position in its answer, from 0.

    A model-free task's key is the digest of its inputs. The leaf is in it because two leaves may share a document, the
    flow because two flows may ask the same.
    """
    return digest([leaf, flow, made])[:32]


class Preference(Record):
    """Two answers to one question, of which an independent score prefers one; both are samples of the run."""

    leaf: str
    chosen: str  # Sample.id
    rejected: str
    chosen_score: float
    rejected_score: float
    messages: tuple[Message, ...]  # what was asked
    chosen_answer: str
    rejected_answer: str


# --- filters ----------------------------------------------------------------------------------------------------


class Verdict(Record):
    """One decision about one subject. `subject` is a sample's id, or a call key when an answer could not be parsed."""

    subject: str
    leaf: str
    filter: str
    version: int
    keep: bool
    rule: str = ""  # what rejected it, in a word or two
    reason: str
    score: float | None = None
    threshold: float | None = None
    partner: str | None = None  # the sample, item or span that decided it
    scores: dict[str, float] | None = None  # by filter, where one verdict speaks for several


class PhaseCount(Record):
    """What one filter got and did; made = kept + rejected. A sample that is put in another's place is made anew."""

    filter: str
    phase: str = "generation"  # the folder of the filter; a flow's own judgements are part of the generation
    made: int
    kept: int
    rejected: int
    not_applied: int = 0  # of the kept, those that it could not judge
    added: int = 0  # put in the place of rejected ones, in addition to the kept


class RuleCount(Record):
    """How many samples of a leaf one rule of a filter rejected."""

    filter: str
    rule: str
    leaf: str
    rejected: int


class LeafCounts(Record):
    """How many samples a leaf gave and how many of them passed every filter."""

    leaf: str
    made: int
    kept: int


class Waterfall(Record):
    """What became of all samples: made = rejected by each rule + kept, phase by phase and leaf by leaf."""

    phases: tuple[PhaseCount, ...] = ()
    leaves: tuple[LeafCounts, ...] = ()
    rules: tuple[RuleCount, ...] = ()


# --- dataset ----------------------------------------------------------------------------------------------------


class Row(Record):
    """A line of the dataset. `leaf` is "replay" for rows that keep the base's own tasks alive."""

    messages: tuple[Message, ...]
    phase: Literal["knowledge", "skills"]
    leaf: str
    sample: str  # Sample.id; for replay rows the digest of the row
    kind: Literal["knowledge", "freeform", "grounded"] | None = None  # this and the rest: None for replay rows
    method: Literal["teacher", "rules", "simulation"] | None = None
    model: str | None = None
    leaf_blob: str | None = None
    chunk: str | None = None
    template: str | None = None
    template_blob: str | None = None


# --- evaluation -------------------------------------------------------------------------------------------------


class Item(Record):
    """A held-out question. `leaf` is a leaf's path, or "base/<kind>" for the base's own tasks.

    closed-book: made from a chunk that was trained, and asked without it. open-book: asked about a chunk that was not.
    """

    id: str
    leaf: str
    source: Literal["heldout", "simulation", "base", "closed-book", "open-book", "mmlu"]
    question: str
    answer: str
    accept: tuple[str, ...] = ()
    context: str | None = None
    metric: Metric = "exact"
    options: tuple[str, ...] = ()  # of a choice, in the order in which they are shown; the answer is one of them
    rubric: str | None = None  # what a judge looks at
    chunk: str | None = None  # Chunk.id that the question was made from
    maker: str | None = None  # of a question that no person wrote: a model's identity, or "rules/1"
    cluster: str | None = None  # items that rise and fall together, e.g. of one chunk

    @property
    def part(self) -> str:
        """What the item measures, by which a leaf's items are told apart in tables."""
        if self.metric in ("choice", "judge", "perplexity"):
            return self.metric
        return "written" if self.source == "heldout" else self.source


class Answer(Record):
    """What a model made of an item. `score` is None where there is none, and `unscored` says why."""

    item: str
    model: str  # "base" or the checkpoint's name
    text: str  # of a choice the option that was taken; of a perplexity empty
    score: float | None  # 0..1; of a perplexity its inverse
    chosen: int | None = None  # of a choice: the place of the option, from 0
    nats: float | None = None  # of a perplexity: minus the natural log of the answer's chance
    tokens: int | None = None  # of a perplexity: that the answer has, its end included
    unanswered: str | None = None  # why the model was not asked, when it was not; the score is 0 then
    unscored: str | None = None  # why there is no score: "judge: no grade in its reply"


class Effect(Record):
    """Before and after on one leaf, paired over the same items; intervals are 95 %."""

    leaf: str
    n: int
    base: float
    base_interval: tuple[float, float]
    tuned: float
    tuned_interval: tuple[float, float]
    delta: tuple[float, float, float]  # low, mid, high
    p: float  # of no difference
    q: float | None = None  # p among the rows it was tested with (Benjamini-Hochberg); None: tested alone or not at all
    clusters: int = 0  # of items that rise and fall together; n where each stands for itself
    effect: Literal["better", "worse", "tied", "underpowered"]


def plain(record: Record) -> dict[str, Any]:
    """The record as JSON values; the form in which it is written to a file."""
    return record.model_dump(mode="json")
