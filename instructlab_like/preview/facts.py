"""What a preview says, before it is put into words. No figure stands without how sure it is and what it rests on."""

from __future__ import annotations

from typing import Literal

from instructlab_like.generation.figures import Figure
from instructlab_like.generation.quote import Cost
from instructlab_like.records import Record, Waterfall
from instructlab_like.taxonomy.findings import Finding
from instructlab_like.taxonomy.past import Base

FORMAT = 2  # of the JSON form; rises when a field changes its meaning or goes


class Rejection(Record):
    """The verdict that rejected a sample, or an answer of the teacher that no sample could be made of."""

    subject: str  # the sample's id, or the call key
    filter: str
    reason: str
    score: float | None
    threshold: float | None
    partner: str | None


class Shown(Record):
    """One of the handful of samples that are shown."""

    id: str
    method: Literal["teacher", "rules", "simulation"]
    question: str
    answer: str
    context: str | None  # of a grounded skill, where it is part of what is asked
    rejection: Rejection | None  # None: kept


class Overlap(Record):
    """Something of a leaf that another leaf has too."""

    what: str  # "seed 2, question 1"
    text: str
    other: str  # the other leaf
    other_what: str
    how: str  # "the same", "shares 8 words in a row with"
    score: float
    measure: str  # what the score is a share of


class Change(Record):
    """How the leaf differs from the base; "named": it was asked for and does not, or there is no base."""

    kind: Literal["added", "changed", "moved", "named"]
    moved_from: str | None = None
    files: tuple[str, ...] = ()
    seeds_added: tuple[int, ...] = ()
    seeds_changed: tuple[int, ...] = ()
    seeds_removed: tuple[int, ...] = ()


class LeafPreview(Record):
    path: str
    change: Change
    findings: tuple[Finding, ...] = ()  # of `ilk check`
    previewed: bool  # False: its findings hold errors, and of the rest only the overlaps are told
    lacking: tuple[str, ...] = ()  # why it gets no samples, or fewer than it might
    documents: int = 0
    chunks: int = 0
    made: Figure | None = None
    kept: Figure | None = None
    samples: tuple[Shown, ...] = ()
    rejections: tuple[Rejection, ...] = ()  # of all that was made for this preview
    teacher: Cost | None = None  # None where its prompts cannot be known
    overlaps: tuple[Overlap, ...] = ()


class Share(Record):
    """Samples of a leaf, or of all leaves below a branch; None for a leaf that is not there, or not counted."""

    name: str
    before: int | None
    after: int | None
    share_before: float | None
    share_after: float | None


class Shift(Record):
    """How the dataset's mix would change from the base's tree to the working tree's."""

    basis: str
    branches: tuple[Share, ...]
    leaves: tuple[Share, ...]  # whose number of samples or presence changes
    uncounted: tuple[str, ...]  # leaves whose samples could not be counted, each with the reason


class Settings(Record):
    """The part of the recipe that decides the figures."""

    flows: tuple[str, ...]
    teacher: str | None  # the identities of those who were asked
    chunk_words: int
    pairs_per_prompt: int
    prompts_per_leaf: int
    samples_per_simulation: int
    max_tokens: int
    filters: tuple[str, ...]
    price_in: float | None  # for a million tokens
    price_out: float | None
    ledger: str | None  # where answers are kept, when a teacher was named


class Preview(Record):
    format: int = FORMAT
    base: Base | None
    settings: Settings
    leaves: tuple[LeafPreview, ...]
    removed: tuple[str, ...]
    teacher: Cost | None  # for all previewed leaves together
    shift: Shift | None
    waterfall: Waterfall = Waterfall()  # what filters did to all that was made for this preview
    not_checked: str = ""  # what no filter of the recipe looks at
    notes: tuple[str, ...]  # what could not be looked at, and why
