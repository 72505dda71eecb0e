"""What a run may be told: one validated recipe a stage, read from YAML, overridden by options, written out in full."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from instructlab_like.errors import RecipeError, explain, position


class Recipe(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class TeacherRecipe(Recipe):
    """Who answers prompts: `http` is any OpenAI-compatible chat endpoint, `local` a transformers model in process."""

    kind: Literal["http", "local"] = "http"
    """How the teacher is reached."""
    url: str | tuple[str, ...] | None = None
    """Of an http teacher, up to and including /v1; several endpoints of one model as a list."""
    model: str
    """The name at the endpoint, or the folder of a local model."""
    adapter: str | None = None
    """Folder of a LoRA adapter that is put on a local model."""
    key_env: str | None = None
    """Name of the environment variable that holds the API key."""
    concurrency: Annotated[int, Field(ge=1)] = 16
    """Most calls in flight at once, at each endpoint; fewer while an endpoint says that it has too many."""
    timeout: Annotated[float, Field(gt=0)] = 120.0
    """Seconds for one answer."""
    retries: Annotated[int, Field(ge=0)] = 5
    """Tries after the first for an answer that failed in a way that may pass."""
    patience: Annotated[float, Field(ge=0)] = 120.0
    """Seconds without any answer from any endpoint, once there was one, after which the run stops."""
    context: Annotated[int, Field(ge=1)] | None = None
    """Tokens of prompt and answer together; None: what the endpoint says of itself."""
    price_in: Annotated[float, Field(ge=0)] | None = None
    """Of a million tokens to the teacher, in any currency."""
    price_out: Annotated[float, Field(ge=0)] | None = None
    """Of a million tokens from it."""

    @model_validator(mode="after")
    def adapted(self) -> Self:
        if self.adapter is not None and self.kind != "local":
            raise ValueError("an adapter is put on a model in this process: say kind: local, and its base as model")
        return self


class QualityRecipe(Recipe):
    """What a teacher has to have shown in an earlier run before a route takes it."""

    at_least: Annotated[float, Field(gt=0, lt=1)]
    """The lower end of the 95 % interval (Wilson) of the share of its samples that the judges kept."""
    run: str
    """The earlier run, by its name or folder."""


class RouteRecipe(Recipe):
    """One rule of a role: which leaves it takes, and the teachers among whom the cheapest that qualifies is asked."""

    teachers: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of `teachers`; of those that qualify, the one with the lowest price is asked, of equals the first."""
    kinds: tuple[Literal["knowledge", "freeform", "grounded"], ...] = ()
    """Kinds of leaf that the rule takes; empty: all."""
    leaves: tuple[str, ...] = ()
    """Leaves and branches that the rule takes, by path; empty: all."""
    quality: QualityRecipe | None = None
    """What a teacher has to have shown; None: every one qualifies."""

    @field_validator("teachers", mode="before")
    @classmethod
    def one(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value


class Budget(Recipe):
    """Limits of a run over all its calls, those of earlier stops included; None: no limit."""

    calls: Annotated[int, Field(ge=0)] | None = None
    """Requests to teachers."""
    tokens: Annotated[int, Field(ge=0)] | None = None
    """In and out, as the teachers count."""
    money: Annotated[float, Field(ge=0)] | None = None
    """By the teachers' price_in and price_out."""


class FilterChoice(Recipe):
    """One filter by name, with its options."""

    name: str
    """Of the filter: the file filters/<phase>/<name>.py; or of a phase, for its default filters."""
    options: dict[str, int | float | str | bool] = {}
    """Its fields that differ from their defaults."""


def named_filters(value: object) -> object:
    """Filters of which some are names alone, as a recipe or a flow may write them."""
    if not isinstance(value, list | tuple):
        return value
    return [{"name": choice} if isinstance(choice, str) else choice for choice in value]


def named_rules(value: object) -> object:
    """The rules of a role, of which one may be a teacher's name alone; one by itself needs no list."""
    told = value if isinstance(value, list | tuple) else [value]
    return [{"teachers": rule} if isinstance(rule, str) else rule for rule in told]


DEFAULT_FILTERS = tuple(
    FilterChoice(name=name)
    for name in (
        *("encoding", "markup", "truncation", "length", "repetition", "language"),
        *("refusal", "identity", "leftovers", "references"),
        *("held_out", "exact_duplicate", "near_duplicate"),
        *("grounded", "contradiction", "invariants", "computed"),
        *("secrets", "personal", "private_names", "injection", "policy"),
    )
)


TEACHER_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$"
TARGET = "target"  # the filter that takes out what is over the wanted mix
Share = Annotated[float, Field(ge=0, le=1)]


class TargetRecipe(Recipe):
    """The mix that a run is to have. Shares of a dimension that come to less than 1 leave the rest free."""

    samples: Annotated[int, Field(ge=1)]
    """Samples wanted in all, once every filter has decided; no more are kept."""
    leaf: dict[str, Share] = {}
    """Shares of leaves, or of branches with all their leaves, by path."""
    difficulty: dict[str, Share] = {}
    """Shares of difficulties: what the lineage says (an axis or a parameter `difficulty`), else easy, medium and hard
    by the proxy of the filter `quota`."""
    length: dict[str, Share] = {}
    """Shares of lengths, in words of question and answer together: `1-40`, `41-120`, `121+`."""
    language: dict[str, Share] = {}
    """Shares of languages, by the names that the filter `language` knows: `en`, `de`, `da+nb`."""
    when_short: Literal["either", "mix", "samples"] = "either"
    """Where not all samples can be had: the mix, of fewer samples; or all samples up to each value's number. Either:
    the mix, if it is of half as many samples at least."""

    @model_validator(mode="before")
    @classmethod
    def known(cls, told: object) -> object:
        for name in told if isinstance(told, dict) else ():
            if name not in cls.model_fields:
                near = difflib.get_close_matches(str(name), cls.model_fields, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(cls.model_fields)}"
                raise ValueError(f"unknown option {name!r}: {hint}")
        return told

    @field_validator("leaf", "difficulty", "length", "language", mode="before")
    @classmethod
    def texts(cls, shares: object) -> object:
        """Values as texts, whatever YAML makes of them."""
        for name in shares if isinstance(shares, dict) else ():
            if isinstance(name, bool):
                raise ValueError(f"YAML reads a value as {name}: put it into quotes, as in 'no'")
        return {str(name).strip(): share for name, share in shares.items()} if isinstance(shares, dict) else shares

    @field_validator("leaf", "difficulty", "length", "language")
    @classmethod
    def whole(cls, shares: dict[str, float]) -> dict[str, float]:
        if "" in shares:
            raise ValueError("a share has no value: name what it is of")
        if (total := sum(shares.values())) > 1 + 1e-9:
            raise ValueError(f"shares come to {total:.6g}, more than 1: lower some of them")
        return shares

    @field_validator("leaf")
    @classmethod
    def apart(cls, shares: dict[str, float]) -> dict[str, float]:
        """Branches that hold none of the others."""
        found = {name.removeprefix("./").strip("/"): share for name, share in shares.items()}
        if len(found) < len(shares) or "" in found:
            raise ValueError("two of the paths are one, or one is none: name each leaf or branch once")
        for name in found:
            for other in found:
                if name.startswith(f"{other}/"):
                    raise ValueError(f"{name!r} lies in {other!r}, and would count for both: name one of them")
        return found

    @field_validator("length")
    @classmethod
    def ranges(cls, shares: dict[str, float]) -> dict[str, float]:
        spans = sorted((*words_of(name), name) for name in shares)
        for (_, end, one), (start, _, other) in pairwise(spans):
            if start <= end:
                raise ValueError(f"{one!r} and {other!r} overlap: begin one where the other has ended")
        return shares


def words_of(told: str) -> tuple[int, float]:
    """The least and the most words of a length as a target writes it; raises ValueError for what is none."""
    found = re.fullmatch(r"(\d{1,9})\s*(?:[-–]\s*(\d{1,9})|\+)", told)
    if found is None:
        raise ValueError(f"{told!r} is no range of words: write 1-40, 41-120 or 121+")
    low, high = int(found[1]), float(found[2]) if found[2] else math.inf
    if high < low:
        raise ValueError(f"{told!r} holds no number of words: write the smaller one first")
    return low, high


def with_target(filters: tuple[FilterChoice, ...], target: TargetRecipe | None) -> tuple[FilterChoice, ...]:
    """The filters; the last of them takes out what is over the target, if there is one."""
    others = tuple(choice for choice in filters if choice.name != TARGET)
    return (*others, FilterChoice(name=TARGET)) if target else others


HOST_NAME = r"^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?$"


class GenerateRecipe(Recipe):
    taxonomy: str = "taxonomy"
    """Folder of the tree of leaves."""
    leaves: tuple[str, ...] = ()
    """Paths below the taxonomy; empty: all."""
    exclude: tuple[str, ...] = ()
    """Paths of leaves that are left out, whatever `leaves` says; `ilk runs forget` adds to them."""
    flows: tuple[str, ...] = ("rules", "simulation")
    """How samples are made: names, or paths of YAML files. A leaf goes through each flow that takes its kind."""
    teacher: TeacherRecipe | None = None
    """Asked by flows that need one, in every role that `roles` does not name."""
    roles: dict[str, TeacherRecipe] = {}
    """Who is asked in a role of a flow (critic, reviser, …), where it is not the teacher."""
    teachers: dict[Annotated[str, Field(pattern=TEACHER_NAME)], TeacherRecipe] = {}
    """Several teachers, each by a name of yours, that `routes` choose from."""
    routes: dict[str, tuple[RouteRecipe, ...]] = {}
    """By role of a flow, rules of who is asked for which leaves; the first that fits decides (docs/flows.md)."""
    forced_routes: dict[str, str] = {}
    """By role, the teacher that is asked for every leaf, whatever `routes` say: `--route ROLE=NAME`."""
    budget: Budget = Budget()
    """What the run may cost, over all its calls; it stops before it would exceed it."""
    mirrors: dict[str, str] = {}
    """Repository URL -> local git bundle or bare repository."""
    document_hosts: tuple[Annotated[str, Field(max_length=253, pattern=HOST_NAME)], ...] = ()
    """Hosts that documents may be fetched from, besides the well-known public ones."""
    chunk_words: Annotated[int, Field(ge=20)] = 200
    """Upper limit of a chunk, in words."""
    hold_out: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of a knowledge leaf's chunks that no prompt and no training sees, for open-book questions; rounded down."""
    parents: tuple[str, ...] = ()
    """Earlier runs, or files of samples, with which flows begin that say `each: [sample]`."""
    max_depth: Annotated[int, Field(ge=1)] = 4
    """Synthetic generations between a sample and human text, at most: a parent that has so many is not used."""
    carry: str = ""
    """An earlier run: what it kept is trained again beside the new samples, but for questions answered anew."""
    carry_share: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Of each leaf's training samples, at least, that are carried: new ones beyond that are left out."""
    pairs_per_prompt: Annotated[int, Field(ge=1)] = 3
    """Asked of a teacher in one prompt of a step that fans out."""
    prompts_per_leaf: Annotated[int, Field(ge=1)] = 200
    """Most first prompts of a flow for a leaf."""
    samples_per_simulation: Annotated[int, Field(ge=1)] = 400
    """Drawn for a leaf with a simulation."""
    temperature: Annotated[float, Field(ge=0)] = 0.7
    """Of the teacher's sampling, unless a template sets its own."""
    max_tokens: Annotated[int, Field(ge=1)] = 1024
    """Most tokens of one answer of the teacher."""
    target: TargetRecipe | None = None
    """The wanted mix of leaves, difficulties, lengths and languages; generation works off what is short of it."""
    filters: Annotated[tuple[FilterChoice, ...], Field(validate_default=True)] = DEFAULT_FILTERS
    """Filters in order, each by name, or as name and options; the name of a phase stands for its default filters."""
    pardons: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}(:[a-z_]+)?$")], ...] = ()
    """Samples, by the beginning of their ids, that no filter rejects; `id:filter` pardons what that one filter says."""
    test_share: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Of questions, kept out of training."""
    replay: str = ""
    """Conversations that keep the base's own tasks alive: JSONL of messages, InstructLab's files, a mixing recipe,
    Parquet or a dataset's folder (docs/formats.md), e.g. training/base/replay.jsonl; empty: none."""
    replay_share: Annotated[float, Field(ge=0, lt=1)] = 0.25
    """Of each phase's training rows."""
    knowledge_share: Annotated[float, Field(ge=0, lt=1)] = 0.25
    """Of the skills phase's rows, repeated from the knowledge phase so that it is not forgotten."""
    seed: int = 0
    """Of all that is drawn."""

    @field_validator("filters", mode="before")
    @classmethod
    def named(cls, value: object) -> object:
        return named_filters(value)

    @field_validator("filters")
    @classmethod
    def mixed(cls, filters: tuple[FilterChoice, ...], told: ValidationInfo) -> tuple[FilterChoice, ...]:
        target = told.data.get("target")
        if target is None and "target" in told.data and any(choice.name == TARGET for choice in filters):
            raise ValueError("the filter 'target' is named, and there is no target: write the option `target`")
        return with_target(filters, target)

    @field_validator("routes", mode="before")
    @classmethod
    def ruled(cls, value: object) -> object:
        return {role: named_rules(told) for role, told in value.items()} if isinstance(value, dict) else value

    @property
    def everybody(self) -> tuple[TeacherRecipe, ...]:
        """All who may be asked: the teacher, those of roles, and those that routes choose from."""
        return (*([self.teacher] if self.teacher else []), *self.roles.values(), *self.teachers.values())

    @field_validator("parents", mode="before")
    @classmethod
    def several(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value


class LoraRecipe(Recipe):
    rank: Annotated[int, Field(ge=1)] = 32
    """Of the update matrices."""
    alpha: Annotated[float, Field(gt=0)] = 64.0
    """The update is scaled by alpha / rank."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Before the update."""
    targets: str | tuple[str, ...] = "all-linear"
    """Modules that get an adapter: `all-linear`, or names."""
    rslora: bool = False
    """Scale the update by alpha / √rank instead, which keeps high ranks stable (rsLoRA, arXiv:2312.03732)."""
    dora: bool = False
    """Train the size of each weight column apart from its direction (DoRA, arXiv:2402.09353)."""


class OsfRecipe(Recipe):
    effective_rank: int | float | tuple[int | float, ...] = 0.5
    """Singular directions of each matrix that are held as they are: a share, or a number; a list has one a phase."""
    targets: str | tuple[str, ...] = "all-linear"
    """Modules that are trained: `all-linear`, or names."""

    @field_validator("effective_rank", mode="before")
    @classmethod
    def shares_or_numbers(cls, told: object) -> object:
        every: list[Any] = list(told) if isinstance(told, list | tuple) else [told]
        for one in every:
            if not (isinstance(one, float) and 0 < one < 1) and not (type(one) is int and one > 0):
                raise ValueError(f"{one!r} is neither a share between 0 and 1 nor a whole number of directions above 0")
        if not every:
            raise ValueError("holds nothing: give a share such as 0.5, or a list with one for each phase")
        if len({type(one) for one in every}) > 1:
            raise ValueError("has shares beside numbers of directions: give all of them in one unit")
        if any(later < one for one, later in pairwise(every)):
            raise ValueError("falls from one phase to the next: a later phase holds as much, or more")
        return told

    def ranks(self, phases: int) -> tuple[float, ...]:
        """What each phase holds."""
        told = self.effective_rank
        return told if isinstance(told, tuple) else (told,) * phases

    @property
    def held(self) -> str:
        """What the phases hold, as people write it."""
        return ", then ".join(f"{one:.0%}" if one < 1 else f"{one:,}" for one in self.ranks(1))


class PhaseRecipe(Recipe):
    name: Literal["knowledge", "skills", "stacked"]
    """Which of the dataset's phases; `stacked` is both at once, each sample one time."""
    epochs: Annotated[float, Field(gt=0)] = 3.0
    """Times that the phase's rows are seen."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    """At its highest."""


def spoken(value: object) -> object:
    """A switch as text: YAML takes a bare on and off for true and false."""
    return {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value


Switch = Annotated[Literal["auto", "on", "off"], BeforeValidator(spoken)]


class TrainRecipe(Recipe):
    model: str = "training/base/model"
    """A folder, or a hub name."""
    lora: LoraRecipe = LoraRecipe()
    """The adapter."""
    osf: OsfRecipe | None = None
    """In the place of `lora`: train at right angles to what the weights use most (OSF, arXiv:2504.07097)."""
    phases: tuple[PhaseRecipe, ...] = (PhaseRecipe(name="knowledge"), PhaseRecipe(name="skills"))
    """Phases in order; each starts from the adapter of the one before."""
    row_tokens: Annotated[int, Field(ge=64)] | None = None
    """Tokens of a packed row; None: derived from the model."""
    batch_tokens: Annotated[int, Field(ge=64)] | None = None
    """Tokens of an optimizer step over all processes."""
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.03
    """Share of a phase's steps."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Of the learning rate after warm-up."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Of AdamW."""
    clip: Annotated[float, Field(gt=0)] = 1.0
    """Largest norm of a step's gradient."""
    save_every: Annotated[int, Field(ge=1)] | None = None
    """Steps between checkpoints, from which training resumes; None: four a phase."""
    choose: Literal["best", "last"] = "best"
    """Which checkpoint of a phase goes on: the one with the lowest held-out loss over leaves, or the last."""
    protect: tuple[str, ...] = ()
    """Leaves or branches whose held-out loss may not rise; a checkpoint that breaks this is not chosen."""
    protect_margin: Annotated[float, Field(ge=0)] = 0.05
    """Nats a token by which the held-out loss of what is protected may rise all the same."""
    base_tasks: str = ""
    """Items of the base's own tasks, protected always, e.g. training/base/anchors.jsonl; empty: none."""
    trackers: tuple[Literal["tensorboard", "trackio", "wandb", "mlflow"], ...] = ()
    """Where accelerate logs losses besides the run's own files; each needs its package."""
    project: str = "ilk"
    """The name that trackers file runs under."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Auto: bfloat16 on a GPU, float32 on a CPU."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """Torch threads on a CPU; None: its cores."""
    quantize: Literal["none", "nf4"] = "none"
    """Of the frozen base: `nf4` keeps it in 4 bits (QLoRA, arXiv:2305.14314), through bitsandbytes."""
    compile: Switch = "auto"
    """Compile each decoder layer (torch.compile). Auto: on a GPU, where the run is long enough to win it back."""
    recompute: Literal["auto", "none", "selective", "full"] = "auto"
    """What of a layer is computed again in the backward pass instead of being kept; auto: as little as fits."""
    loss: Literal["auto", "plain", "chunked"] = "auto"
    """Chunked: the logits of a row are never all in memory. Auto: on a GPU, where the model's head allows it."""
    fused_lora: Switch = "auto"
    """Compute adapters that read the same tensor together. Auto: on a GPU, for plain LoRA without dropout."""
    float8: Annotated[Literal["on", "off"], BeforeValidator(spoken)] = "off"
    """Hold the frozen base in float8, on a GPU that has it; its loss is compared with the plain one before training."""
    processes: Annotated[int, Field(ge=1)] = 1
    """Processes that accelerate starts on each machine: one a GPU."""
    machines: Annotated[int, Field(ge=1)] = 1
    """Machines that train together, with the run's folder on a disk that all of them share."""
    shard: bool = False
    """Cut the frozen base up over the processes (FSDP2), where it is too large for one GPU."""
    seed: int = 0
    """Of all that is drawn."""

    @model_validator(mode="after")
    def one_adapter(self) -> Self:
        if self.osf is None:
            return self
        if self.lora != LoraRecipe():
            raise ValueError("both osf and lora are set: leave one out")
        ranks = self.osf.ranks(len(self.phases))
        if len(ranks) != len(self.phases):
            what = f"osf.effective_rank has {len(ranks)} entries for {len(self.phases)} phases"
            raise ValueError(f"{what}: give one for each, or one for all")
        usual = TrainRecipe.model_construct()
        for name, why in (
            ("quantize", "a base in 4 bits cannot be taken apart by singular values"),
            ("shard", "a base that is cut up cannot be taken apart by singular values"),
            ("weight_decay", "it would shrink what the base knows"),
        ):
            if getattr(self, name) != getattr(usual, name):
                raise ValueError(f"with osf, {name} cannot be {getattr(self, name)}: {why}")
        return self


class JudgeRecipe(TeacherRecipe):
    """Who grades answers that no rule can score, reached as a teacher is; of another family than teachers and base."""

    same_family: bool = False
    """Let a model of the family of a teacher or of the base judge, which shares blind spots; the summary says so."""
    pairwise: bool = True
    """Also compare each checkpoint's answer with the base's, in both orders."""
    planted: Annotated[int, Field(ge=0, le=1000)] = 40
    """Pairs of a reference and the same with a planted fault, on which the judge is judged; 0: none."""
    labels: str = ""
    """JSONL of people's grades or preferences, on which the judge is judged (docs/judges.md); empty: none."""
    max_tokens: Annotated[int, Field(ge=1)] = 1024
    """Most tokens of a reply of the judge."""


class EvaluateRecipe(Recipe):
    model: str = ""
    """The base: a folder, a hub name, or NAME@URL of a model that is served; empty: what the run was trained on."""
    checkpoints: tuple[str, ...] = ()
    """Adapter folders, or NAME@URL of models that are served (URL up to /v1); empty: the run's own final adapter."""
    key_env: str | None = None
    """Name of the environment variable that holds the API key of models that are served."""
    simulation_items: Annotated[int, Field(ge=1)] = 60
    """Fresh draws for a leaf with a simulation."""
    closed_book: Annotated[int, Field(ge=0)] = 20
    """Most questions for a knowledge leaf made by rules, in unseen words, about chunks that were trained."""
    choices: Annotated[int, Field(ge=0)] = 20
    """Most of the same with four options each, the wrong ones from the same leaf."""
    open_book: Annotated[int, Field(ge=0)] = 20
    """Most questions for a knowledge leaf made by rules about chunks that no sample came from, asked with the chunk."""
    base_tasks: str = "training/base/anchors.jsonl"
    """Items of the base's own tasks: the forgetting check."""
    items: tuple[str, ...] = ()
    """Files or folders of items to ask in addition: lines as in items.jsonl, or InstructLab's multiple-choice files."""
    max_new_tokens: Annotated[int, Field(ge=1)] = 48
    """Most tokens of an answer."""
    batch: Annotated[int, Field(ge=1)] = 32
    """Questions answered together."""
    enough: Annotated[int, Field(ge=1)] = 20
    """Fewer items than this on a leaf: underpowered."""
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """How much of a score may be lost on what is protected and on the base's own tasks."""
    protect: tuple[str, ...] = ()
    """Leaves or branches that may not lose more than the margin, besides those that training protected."""
    judge: JudgeRecipe | None = None
    """Grades the answers to questions of the metric `judge`; None: those have no score."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """Torch threads on a CPU; None: its cores."""
    seed: int = 0
    """Of all that is drawn."""


class ImproveRecipe(Recipe):
    rounds: Annotated[int, Field(ge=1, le=20)] = 3
    """Most rounds of critique, revision and training after the run's own training."""
    flows: Annotated[tuple[str, ...], Field(min_length=1)] = (
        "self-improve-knowledge",
        "self-improve-freeform",
        "self-improve-grounded",
    )
    """By which a round makes its samples of those that the round before kept; each begins with `each: [sample]`."""
    teacher: TeacherRecipe | None = None
    """Asked in every role that neither `roles` nor `student` names; None: the teacher of `generate`."""
    roles: dict[str, TeacherRecipe] = {}
    """Who is asked in a role of these flows, before those that `generate` names."""
    student: tuple[str, ...] = ()
    """Roles in which the model is asked that the round before has trained; none that scores."""
    own_share: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Of each leaf's training samples in a round, at least, that are the run's own, from before the first round."""
    strict: bool = False
    """Stop, too, where it is undecided whether something that must be kept was lost."""


Kind = TypeVar("Kind", bound=Recipe)
SECTIONS: dict[str, type[Recipe]] = {
    "generate": GenerateRecipe,
    "train": TrainRecipe,
    "evaluate": EvaluateRecipe,
    "improve": ImproveRecipe,
}


def load(kind: type[Kind], path: Path | None, overrides: Mapping[str, object]) -> Kind:
    """A stage's recipe: its section of a YAML file, with `overrides` (None values mean: not given) on top.

    A file holds up to four sections: generate, train, evaluate, improve. Raises RecipeError naming file, field and the
    nearest option.
    """
    section = next(name for name, known in SECTIONS.items() if known is kind)
    where = f"{path}, {section}" if path else "options"
    told = read_section(path, section) if path else {}
    told |= {name: value for name, value in overrides.items() if value is not None}
    refuse_unknown(told, list(kind.model_fields), where)
    try:
        return kind.model_validate(told)
    except ValidationError as error:
        fix = "correct the value; docs/recipes.md lists every option"
        raise RecipeError("; ".join(explain(error)), where=where, fix=fix) from error


def read_section(path: Path, section: str) -> dict[str, object]:
    """One section of a recipe file, empty when the file has none of that name."""
    sections = read_mapping(path)
    refuse_unknown(sections, list(SECTIONS), str(path))
    told = sections.get(section)
    if told is None:
        return {}
    if not isinstance(told, dict):
        raise RecipeError(f"{section} is not a mapping of option: value", where=str(path), fix="indent its options")
    return dict(told)


def refuse_unknown(told: Mapping[str, object], known: list[str], where: str) -> None:
    for name in told:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise RecipeError(f"unknown option {name!r}", where=where, fix=hint)


def read_mapping(path: Path) -> dict[str, object]:
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecipeError(
            "there is no such recipe file", where=str(path), fix="check the path given to --recipe"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot be read: {error}", where=str(path), fix="a recipe is a YAML text file") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = position(path, mark.line + 1, mark.column + 1) if mark else str(path)
        raise RecipeError(
            f"is not valid YAML: {getattr(error, 'problem', error)}", where=where, fix="correct the YAML"
        ) from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise RecipeError("holds no options", where=str(path), fix="sections: generate, train, evaluate, improve")
    return loaded
