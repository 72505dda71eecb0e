"""The dataset's card: what is in it, how it was made, what it was filtered by, how to load it. Pure text."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import yaml

from instructlab_like.digests import Sorter
from instructlab_like.records import LeafCounts, Plain, Record, Row

KNOWLEDGE, SKILLS, TEST = "data/knowledge-train.jsonl", "data/skills-train.jsonl", "data/test.jsonl"
FILES = (KNOWLEDGE, SKILLS, TEST)
KEY = 12  # bytes of a sample's digest
CONFIGS: dict[str, dict[str, tuple[str, ...]]] = {  # name -> split -> files
    "default": {"train": (KNOWLEDGE, SKILLS), "test": (TEST,)},
    "knowledge": {"train": (KNOWLEDGE,)},
    "skills": {"train": (SKILLS,)},
}
COLUMNS = {  # but for messages, all are strings
    "messages": "the conversation: `role` and `content` of each turn",
    "phase": "`knowledge` or `skills`: the training phase",
    "leaf": "path of the leaf in the taxonomy, or `replay`",
    "sample": "id of the sample; a knowledge sample repeated in the skills phase keeps its id",
    "kind": "`knowledge`, `freeform` or `grounded`; this and the following are null for replay",
    "method": "`teacher`, `rules` or `simulation`",
    "model": "who made it: the teacher's identity, or the method's version",
    "leaf_blob": "Git blob id of the leaf's `qna.yaml`",
    "chunk": "the piece of a document it is about: blob id and byte span",
    "template": "prompt template, where a teacher was asked",
    "template_blob": "Git blob id of that template",
}
FOLDER = "4-dataset"  # where a run has its dataset
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


class FilterFacts(Record):
    """One filter with its options written out, and what it did; made = kept + rejected."""

    name: str
    version: int
    options: dict[str, Plain]
    made: int
    kept: int
    rejected: int


class CardFacts(Record):
    """What the rows themselves do not tell."""

    leaves: tuple[LeafCounts, ...]
    filters: tuple[FilterFacts, ...]
    test_share: float
    replay_share: float
    seed: int
    licenses: tuple[str, ...] = ()  # SPDX ids of what the leaves and their documents are under; empty: unknown


class Contents:
    """What stands in the dataset's files, counted as their rows are written; twenty bytes of each row are in memory."""

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()  # by path in the dataset's folder, as the next
        self.replayed: Counter[str] = Counter()
        self.train: Counter[str] = Counter()  # samples by leaf; one that is repeated counts once
        self.test: Counter[str] = Counter()
        self.makers: Counter[tuple[str, str]] = Counter()  # samples by method and model
        self._kinds: dict[tuple[str, str | None, str | None, bool], int] = {}
        self._samples = Sorter(KEY)

    @classmethod
    def of(cls, files: Mapping[str, Iterable[Row]]) -> Contents:
        """What stands in files by their paths."""
        found = cls()
        for path, rows in files.items():
            for row in rows:
                found.add(path, row)
        found.settle()
        return found

    def add(self, path: str, row: Row) -> None:
        self.rows[path] += 1
        self.replayed[path] += row.leaf == "replay"
        self.test[row.leaf] += path == TEST
        kind = self._kinds.setdefault((row.leaf, row.method, row.model, path != TEST), len(self._kinds))
        key = hashlib.blake2b(f"{row.leaf}\n{row.sample}".encode(), digest_size=KEY).digest()
        self._samples.add(key, kind)

    def settle(self) -> None:
        """Count the samples, once all rows are there."""
        kinds = list(self._kinds)
        before = b""
        trained = False  # whether the sample was met in a file for training
        for key, number in self._samples:
            leaf, method, model, train = kinds[number]
            if key != before:
                trained = False
                if method and model:
                    self.makers[method, model] += 1
            self.train[leaf] += train and not trained
            before, trained = key, trained or train


def card(files: Contents, facts: CardFacts) -> str:
    """README.md: front matter for `datasets` and the hub, then prose and tables."""
    sections = [
        introduction(files),
        loading(files),
        making(files, facts),
        leaves(files, facts),
        filtering(facts),
        splitting(files, facts),
        LIMITS,
    ]
    return front_matter(files, facts) + "\n" + "\n\n".join(sections) + "\n"


def front_matter(files: Contents, facts: CardFacts) -> str:
    licenses = [name.lower() for name in facts.licenses] or ["other"]
    told: dict[str, object] = {
        "pretty_name": "Instruction data from a taxonomy",
        "license": licenses[0] if len(licenses) == 1 else licenses,
        "task_categories": ["text-generation"],
        "tags": ["synthetic", "instruction-tuning", "taxonomy"],
        "size_categories": [size(files.rows.total())],
    }
    configs = present(files)
    if configs:
        told["configs"] = [
            {"config_name": name, "data_files": [{"split": part, "path": paths} for part, paths in parts.items()]}
            for name, parts in configs.items()
        ]
        # Without the types, a column that is null throughout one file would clash with its text in another.
        told["dataset_info"] = [{"config_name": name, "features": features()} for name in configs]
    return f"---\n{yaml.safe_dump(told, sort_keys=False, allow_unicode=True)}---\n"


def present(files: Contents) -> dict[str, dict[str, list[str]]]:
    """The configs and splits that have rows, with their files."""
    found: dict[str, dict[str, list[str]]] = {}
    for name, parts in CONFIGS.items():
        for part, paths in parts.items():
            filled = [path for path in paths if files.rows[path]]
            if filled:
                found.setdefault(name, {})[part] = filled
    return found


def features() -> list[dict[str, object]]:
    turns = [{"name": "role", "dtype": "string"}, {"name": "content", "dtype": "string"}]
    return [
        {"name": name, "list": turns} if name == "messages" else {"name": name, "dtype": "string"} for name in COLUMNS
    ]


def size(rows: int) -> str:
    return next((name for limit, name in SIZES if rows < limit), "n>1M")


def introduction(files: Contents) -> str:
    rows = files.rows.total()
    return f"""# Instruction data from a taxonomy

{rows} conversations for supervised fine-tuning, in two phases: knowledge, then skills. All but the replay rows are
synthetic: they were made from the leaves of a taxonomy, their seed examples and their documents.

{table(("column", "holds"), COLUMNS.items())}"""


def loading(files: Contents) -> str:
    configs = present(files)
    if not configs:
        return "## Loading\n\nNothing to load: no sample was kept."
    splits = " and ".join(configs["default"])
    others = [f'load_dataset(folder, "{name}")' for name in configs if name != "default"]
    calls = "\n".join([f"load_dataset(folder)  # {splits}, both phases", *others])
    return f"""## Loading

```python
from datasets import load_dataset

folder = "{FOLDER}"  # where this card lies
{calls}
```"""


def making(files: Contents, facts: CardFacts) -> str:
    made = [(method, model, count) for (method, model), count in sorted(files.makers.items())]
    return f"""## How it was made

`rules` cut questions and answers out of the sentences of a document; `simulation` draws parameters and computes the
answer; `teacher` is a language model asked with the leaf's seed examples.
All that is drawn follows from seed {facts.seed}.

{table(("method", "by", "samples"), made)}"""


def leaves(files: Contents, facts: CardFacts) -> str:
    lines = [(leaf.leaf, leaf.made, leaf.kept, files.train[leaf.leaf], files.test[leaf.leaf]) for leaf in facts.leaves]
    return "## Leaves\n\n" + table(("leaf", "made", "kept", "train", "test"), lines)


def filtering(facts: CardFacts) -> str:
    lines = [
        (f"{found.name} {found.version}", settings(found.options), found.made, found.kept, found.rejected)
        for found in facts.filters
    ]
    return "## Filters\n\nIn this order; each sees what the one before it kept.\n\n" + table(
        ("filter and version", "options", "in", "kept", "rejected"), lines
    )


def settings(options: Mapping[str, Plain]) -> str:
    shown = {name: str(value).lower() if isinstance(value, bool) else value for name, value in options.items()}
    return ", ".join(f"{name} {value}" for name, value in shown.items())


def splitting(files: Contents, facts: CardFacts) -> str:
    lines = [(path, files.rows[path], files.replayed[path]) for path in FILES if files.rows[path]]
    return f"""## Splits

Up to {facts.test_share:.0%} of each leaf's samples are set aside for test, by question: no test question is in
training, nor any run of eight of its words, but for simulations, whose questions share their phrasing and differ in
their parameters. Questions about a passage are split by passage. Leaves too small for the share have no test rows.
Up to {facts.replay_share:.0%} of each phase replays conversations of the kind the base model was trained on; the skills
phase also repeats rows of the knowledge phase.

{table(("file", "rows", "of these replay"), lines)}"""


LIMITS = """## Limits

The data say what their leaves and documents say, mistakes included. Filters compare words: they find copies, leftovers
and unsupported numbers and names, and cannot tell whether a sentence is true, apt or kind. Rules make short factual
questions, simulations vary few phrasings: a model trained on these alone learns facts and procedures rather than style.
No search for personal data was made. The test split asks questions unseen in training about facts that may have been
trained; to compare models, use the leaves' own held-out questions, which are not in this dataset."""


def table(head: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """A Markdown table; numbers are set right."""
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    if not cells:
        return "None."
    right = [all(line[column].isdigit() for line in cells) for column in range(len(head))]
    rule = ["---:" if numeric else "---" for numeric in right]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *cells))
