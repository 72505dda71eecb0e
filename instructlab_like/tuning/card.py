"""The model card of an adapter or a merged model: what it was made of and how, and what it scores. Pure text.

No clock and no path of the machine that trained: the same run gives the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import yaml

from instructlab_like.dataset.card import table
from instructlab_like.printable import escaped
from instructlab_like.records import Effect, LeafOrigin, Record

REPLAY = "replay"  # the leaf of rows that belong to none
ON_HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")  # a name there; paths begin with a point or a slash
FILE = "README.md"


class Made(Record):
    """Different samples of one leaf that one teacher or method made, of those that training was given."""

    leaf: str
    by: str
    samples: int


class PhaseLine(Record):
    """A phase as it was trained; `step` is that of the checkpoint that went on, None where none was chosen."""

    name: str
    samples: int
    trained_tokens: int
    row_tokens: int
    epochs: float
    steps: int
    learning_rate: float
    step: int | None = None
    why: str = ""


class HeldOutLine(Record):
    """The held-out loss of one leaf before training and of the adapter, in nats a token."""

    leaf: str
    samples: int
    before: float
    after: float


class Scores(Record):
    """What `ilk evaluate` found, leaf by leaf, and on the base's own tasks; intervals are 95 %."""

    leaves: tuple[Effect, ...]
    own: tuple[Effect, ...] = ()


class CardFacts(Record):
    """What the card tells. What is not known is empty, and the card is silent about it."""

    base: str  # as adapter_config.json names it
    revision: str | None = None  # the hub's commit of the base
    relation: Literal["adapter", "finetune"] = "adapter"
    adapter: str  # "LoRA of rank 32, …"
    tags: tuple[str, ...] = ("lora",)
    commit: str | None = None  # of the taxonomy
    leaves: tuple[LeafOrigin, ...] = ()
    made: tuple[Made, ...] = ()
    licenses: tuple[str, ...] = ()  # of the leaves and their documents
    recipe: dict[str, object] = {}
    phases: tuple[PhaseLine, ...] = ()
    held_out: tuple[HeldOutLine, ...] = ()
    scores: Scores | None = None
    checked: tuple[str, ...] = ()  # what was measured of a merged model

    @property
    def on_hub(self) -> bool:
        return ON_HUB.fullmatch(self.base) is not None


def card(facts: CardFacts) -> str:
    """README.md: front matter that the hub reads, then what is known, and nothing else."""
    sections = [title(facts), loading(facts), data(facts), training(facts), held_out(facts), scores(facts)]
    return front_matter(facts) + "\n" + "\n\n".join(filter(None, [*sections, checked(facts)])) + "\n"


def brief(*, base: str, revision: str | None = None, adapter: str, lines: Mapping[str, str]) -> str:
    """The card of a checkpoint on the way: what it is, how it is loaded, and `lines` of facts."""
    facts = CardFacts(base=base, revision=revision, adapter=adapter)
    found = table(("", ""), [(plain(key), plain(value)) for key, value in lines.items()])
    return f"{front_matter(facts)}\n{title(facts)}\n\n{found}\n\n{loading(facts)}\n"


def front_matter(facts: CardFacts) -> str:
    adapter = facts.relation == "adapter"
    told: dict[str, object] = {}
    if facts.on_hub:  # the hub takes no path for a base
        told |= {"base_model": facts.base, "base_model_relation": facts.relation}
    told |= {
        "library_name": "peft" if adapter else "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["instruction-tuning", "taxonomy", *facts.tags],
    }
    return f"---\n{yaml.safe_dump(told, sort_keys=False, allow_unicode=True)}---\n"


def title(facts: CardFacts) -> str:
    name = plain(facts.base)
    base = f"[{name}](https://huggingface.co/{facts.base})" if facts.on_hub else code(facts.base)
    at = f" at commit {code(facts.revision)}" if facts.revision else ""
    head = plain(facts.base.removeprefix("./"))
    if facts.relation == "adapter":
        return f"# An adapter for {head}\n\n{plain(facts.adapter)}. It needs its base, {base}{at}."
    what = f"{plain(facts.adapter)}, merged into the weights of its base, {base}{at}. It needs nothing beside it."
    return f"# A fine-tuned {head}\n\n{what}"


def loading(facts: CardFacts) -> str:
    if facts.relation != "adapter":
        return f"## Loading\n\n{python(*MERGED)}"
    if facts.on_hub:
        return f"## Loading\n\n{python(*AUTO)}"
    return f"""## Loading

`adapter_config.json` names the base as {code(facts.base)}: a path, which leads there only from the folder that the
training was started in. From there:

{python(*AUTO)}

From anywhere else, say where the base lies:

{python(*NAMED)}"""


AUTO = (
    "from peft import AutoPeftModelForCausalLM",
    "from transformers import AutoTokenizer",
    "",
    'folder = "."  # where this card lies',
    "model = AutoPeftModelForCausalLM.from_pretrained(folder)",
    "tokenizer = AutoTokenizer.from_pretrained(folder)",
)
NAMED = (
    "from peft import PeftModel",
    "from transformers import AutoModelForCausalLM, AutoTokenizer",
    "",
    'base, folder = "path/of/the/base", "."  # and where this card lies',
    "model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder)",
    "tokenizer = AutoTokenizer.from_pretrained(folder)",
)
MERGED = (
    "from transformers import AutoModelForCausalLM, AutoTokenizer",
    "",
    'folder = "."  # where this card lies',
    "model = AutoModelForCausalLM.from_pretrained(folder)",
    "tokenizer = AutoTokenizer.from_pretrained(folder)",
)


def data(facts: CardFacts) -> str:
    if not facts.made:
        return ""
    origins = {leaf.path: leaf for leaf in facts.leaves}
    lines = [(code(made.leaf), made.samples, plain(made.by), *origin(origins.get(made.leaf))) for made in facts.made]
    without = sorted(set(origins) - {made.leaf for made in facts.made})
    commit = f"The taxonomy is at commit `{facts.commit}`. " if facts.commit else ""
    parts = [
        "## Data",
        f"{commit}Samples that training was given, by the leaf that they were made from and by who made them; "
        f"`{REPLAY}` are conversations that keep the base's own tasks alive.",
        table(("leaf", "samples", "made by", "commit", "author", "blob"), lines),
    ]
    if without:
        parts.append(f"Leaves of the taxonomy that gave no sample: {', '.join(map(code, without))}.")
    if facts.licenses:
        parts.append(f"The leaves and their documents are under {', '.join(map(plain, facts.licenses))}.")
    return "\n\n".join(parts)


def origin(leaf: LeafOrigin | None) -> tuple[str, str, str]:
    """Commit, author and blob of a leaf; a leaf that was changed since its commit says so."""
    if leaf is None:
        return "", "", ""
    commit = code(leaf.commit[:12]) if leaf.commit else "not committed"
    return (
        commit + (" and changed since" if leaf.commit and leaf.dirty else ""),
        plain(leaf.author or ""),
        code(leaf.blob[:12]),
    )


def training(facts: CardFacts) -> str:
    if not facts.phases:
        return ""
    head = ("phase", "samples", "learnt tokens", "row", "epochs", "steps", "learning rate", "checkpoint")
    lines = [
        (
            line.name,
            line.samples,
            line.trained_tokens,
            line.row_tokens,
            f"{line.epochs:g}",
            line.steps,
            f"{line.learning_rate:g}",
            "" if line.step is None else f"step {line.step}" if line.step else "none: as the phase began",
        )
        for line in facts.phases
    ]
    whys = [f"- {line.name}: {plain(line.why)}." for line in facts.phases if line.why]
    recipe = (
        yaml.safe_dump(facts.recipe, sort_keys=False, allow_unicode=True, width=110).rstrip() if facts.recipe else ""
    )
    parts = ["## Training", table(head, lines)]
    parts += ["Why that checkpoint went on:\n\n" + "\n".join(whys)] if whys else []
    parts += [f"```yaml\n{recipe}\n```"] if recipe else []
    return "\n\n".join(parts)


def held_out(facts: CardFacts) -> str:
    if not facts.held_out:
        return ""
    lines = [
        (code(line.leaf), line.samples, f"{line.before:.4f}", f"{line.after:.4f}", f"{line.after - line.before:+.4f}")
        for line in facts.held_out
    ]
    return (
        "## Held-out loss\n\nIn nats a token, on samples that training never saw; `base` are the base's own tasks.\n\n"
        + table(("leaf", "samples", "base", "tuned", "change"), lines)
    )


def scores(facts: CardFacts) -> str:
    if facts.scores is None:
        return ""
    lines = [
        (
            code(one.leaf),
            one.n,
            interval(one.base, one.base_interval),
            interval(one.tuned, one.tuned_interval),
            f"{one.delta[1]:+.2f} [{one.delta[0]:+.2f}, {one.delta[2]:+.2f}]",
            one.effect,
        )
        for one in (*facts.scores.leaves, *facts.scores.own)
    ]
    return (
        "## Scores\n\nHeld-out questions of each leaf, answered greedily by base and tuned model; 0 to 1, with 95 % "
        "intervals. `underpowered`: too few questions to tell.\n\n"
        + table(("leaf", "questions", "base", "tuned", "change", "verdict"), lines)
    )


def checked(facts: CardFacts) -> str:
    if not facts.checked:
        return ""
    return "## Merge\n\nMeasured before the files were put in place:\n\n" + "\n".join(
        f"- {plain(line)}" for line in facts.checked
    )


def interval(middle: float, ends: Sequence[float]) -> str:
    return f"{middle:.2f} [{ends[0]:.2f}, {ends[1]:.2f}]"


def python(*lines: str) -> str:
    return "\n".join(["```python", *lines, "```"])


def code(text: str) -> str:
    """A name as Markdown code; nothing in it can end the code or the line."""
    return f"`{escaped(text).replace('`', chr(0x2019))}`"


def plain(text: str) -> str:
    """Text that other people wrote: on one line, and no markup."""
    return re.sub(r"([\\`*_\[\]<>#])", r"\\\1", escaped(text))
