"""What a teacher can do, found out by asking: servers say 200 and ignore fields that they do not know."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import orjson
from pydantic import ValidationError

from instructlab_like.errors import InputError
from instructlab_like.records import Completion, Record, digest, plain
from instructlab_like.teachers.chat import Reply, response_format
from instructlab_like.teachers.context import Context
from instructlab_like.workspace import cache_dir, dump, write_whole

Able = Literal["yes", "no", "unknown"]
Feature = Literal["seed", "logprobs", "n", "schema"]

VERSION = 1  # of the questions below: another set asks anew
SEEDS = (11, 11, 12, 13)  # the first two must agree, and not all of them
WORD = "heron-4817-quartz"  # what an answer can only hold if the schema is enforced
SCHEMA = orjson.dumps(
    {
        "type": "object",
        "properties": {"word": {"type": "string", "enum": [WORD]}},
        "required": ["word"],
        "additionalProperties": False,
    }
).decode()
BOUND = f'{{"word":"{WORD}"}}'
LARGEST_TRIED = 40_000  # tokens; an over-long prompt beyond this costs more than the answer is worth
SPARE = 64  # tokens by which the over-long prompt is too long


class Finding(Record):
    able: Able
    said: str = ""  # what was seen, or the server's own words


class Capabilities(Record):
    """What an endpoint, or all endpoints of a teacher, were found able to do."""

    seed: Finding
    logprobs: Finding
    n: Finding
    json_schema: Finding
    over_long: Literal["refused", "truncated", "unknown"]
    over_long_said: str = ""
    context: int | None = None  # tokens, as far as it says

    def of(self, feature: Feature) -> Finding:
        found: Finding = getattr(self, "json_schema" if feature == "schema" else feature)
        return found

    @property
    def conclusive(self) -> bool:
        """Whether every feature was found out; an over-long prompt is not always tried."""
        return all(found.able != "unknown" for found in (self.seed, self.logprobs, self.n, self.json_schema))


class ProbeCall(Record):
    """One request of a probe: recorded once before it is sent and once more when its end is known."""

    key: str  # differs between endpoints and attempts, and from every prompt's
    endpoint: str
    question: str  # "seed 11", "logprobs", …
    attempt: int  # from 0
    request: str  # its body, as JSON
    ended: bool = False
    completion: Completion | None = None  # None: it failed, or has not ended
    kind: str | None = None  # of the failure; "unsent": it never left, and is no call
    error: str | None = None
    prompt_tokens: int = 0  # charged, as far as it is known; failures too
    completion_tokens: int = 0

    def answered(self, completion: Completion) -> ProbeCall:
        charged = {
            "prompt_tokens": completion.prompt_tokens or 0,
            "completion_tokens": completion.completion_tokens or 0,
        }
        return self.model_copy(update={"ended": True, "completion": completion, **charged})

    def failed(self, kind: str, error: str, prompt_tokens: int = 0, completion_tokens: int = 0) -> ProbeCall:
        charged = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
        return self.model_copy(update={"ended": True, "kind": kind, "error": error, **charged})


Recorder = Callable[[ProbeCall], Awaitable[None]]


class Question(NamedTuple):
    name: str
    body: dict[str, object]


class Outcome(NamedTuple):
    """A reply, or the server's refusal (`reply` None), or neither: `lasting` False, it may be another time."""

    reply: Reply | None
    said: str = ""
    lasting: bool = True


class Need(NamedTuple):
    """A feature that a template or its sampling relies on."""

    feature: Feature
    where: str  # the template's name


def questions(model: str, context: Context | None) -> tuple[Question, ...]:
    """All that is asked of one endpoint; small, and sent at once."""

    def asking(name: str, words: str, **more: object) -> Question:
        return Question(name, {"model": model, "messages": [{"role": "user", "content": words}], **more})

    random = "Write twelve words at random, each unlike all the others."
    listed = [
        *(
            asking(f"seed {seed}, {number}", random, temperature=1.0, max_tokens=32, seed=seed)
            for number, seed in enumerate(SEEDS, start=1)
        ),
        asking("logprobs", "Say hello.", temperature=0.0, max_tokens=4, logprobs=True, top_logprobs=1),
        asking("n", "Say hello.", temperature=1.0, max_tokens=4, n=2),
        asking("schema", "Say hello.", temperature=0.0, max_tokens=256, response_format=response_format(SCHEMA)),
    ]
    if context is not None and context.tokens + SPARE <= LARGEST_TRIED:
        listed.append(asking("over-long", endless(context.tokens + SPARE), temperature=0.0, max_tokens=1))
    return tuple(listed)


def endless(tokens: int) -> str:
    """At least so many tokens: no vocabulary has a word for a digit, a space and a capital letter."""
    return " ".join("7Q"[number % 2] for number in range(tokens))


# --- what the answers show --------------------------------------------------------------------------------------


def judged(outcomes: Mapping[str, Outcome], context: Context | None) -> Capabilities:
    """What the answers to `questions` show; `outcomes` by a question's name."""
    over_long, said = judged_length(outcomes.get("over-long"), context)
    return Capabilities(
        seed=judged_seed([outcome for name, outcome in outcomes.items() if name.startswith("seed ")]),
        logprobs=judged_logprobs(outcomes["logprobs"]),
        n=judged_choices(outcomes["n"]),
        json_schema=judged_schema(outcomes["schema"]),
        over_long=over_long,
        over_long_said=said,
        context=context.tokens if context else None,
    )


def failure(outcome: Outcome) -> Finding:
    return Finding(able="no" if outcome.lasting else "unknown", said=outcome.said)


def judged_seed(outcomes: Sequence[Outcome]) -> Finding:
    """The same seed gives the same answer, and another seed another one."""
    for outcome in outcomes:
        if outcome.reply is None:
            return failure(outcome)
    texts = [outcome.reply.text for outcome in outcomes if outcome.reply]
    if not any(text.strip() for text in texts):
        return Finding(able="unknown", said="its answers were empty")
    if texts[0] != texts[1]:
        return Finding(able="no", said="the same seed gave two answers")
    if len(set(texts)) == 1:
        return Finding(able="no", said=f"{len(set(SEEDS))} seeds gave the same answer at temperature 1")
    return Finding(able="yes")


def judged_logprobs(outcome: Outcome) -> Finding:
    if outcome.reply is None:
        return failure(outcome)
    return Finding(able="yes") if outcome.reply.logprobs else Finding(able="no", said="the reply holds none")


def judged_choices(outcome: Outcome) -> Finding:
    if outcome.reply is None:
        return failure(outcome)
    count = outcome.reply.choices
    return Finding(able="yes") if count == 2 else Finding(able="no", said=f"asked for 2 answers, it gave {count}")


def judged_schema(outcome: Outcome) -> Finding:
    if outcome.reply is None:
        return failure(outcome)
    text = outcome.reply.text
    if "".join(text.split()) == BOUND:
        return Finding(able="yes")
    if outcome.reply.finish_reason == "length" and BOUND.startswith("".join(text.split())):
        return Finding(able="unknown", said="its answer was cut off")
    return Finding(able="no", said="its answer does not follow the schema")


def judged_length(
    outcome: Outcome | None, context: Context | None
) -> tuple[Literal["refused", "truncated", "unknown"], str]:
    if context is None:
        return "unknown", "it does not say how much it takes in"
    if outcome is None:
        return "unknown", f"not tried: its context holds {context.tokens} tokens"
    if outcome.reply is None:
        return ("refused" if outcome.lasting else "unknown"), outcome.said
    counted = outcome.reply.prompt_tokens
    if counted is None:
        return "unknown", "it took the prompt and did not count its tokens"
    if counted >= context.tokens + SPARE:
        return "unknown", f"it took {counted} tokens, more than the {context.tokens} it promises"
    return "truncated", f"it counted {counted} tokens of a prompt of more than {context.tokens}"


def merged(found: Sequence[Capabilities]) -> Capabilities:
    """Of several endpoints: what all of them can do."""

    def worst(findings: Sequence[Finding]) -> Finding:
        return min(findings, key=lambda finding: ("no", "unknown", "yes").index(finding.able))

    lengths = [(one.over_long, one.over_long_said) for one in found]
    over_long, said = min(lengths, key=lambda told: ("truncated", "unknown", "refused").index(told[0]))
    contexts = [one.context for one in found if one.context is not None]
    return Capabilities(
        seed=worst([one.seed for one in found]),
        logprobs=worst([one.logprobs for one in found]),
        n=worst([one.n for one in found]),
        json_schema=worst([one.json_schema for one in found]),
        over_long=over_long,
        over_long_said=said,
        context=min(contexts, default=None),
    )


# --- what follows -----------------------------------------------------------------------------------------------

NAMES: dict[Feature, str] = {
    "seed": "seeds",
    "logprobs": "log-probabilities (logprobs)",
    "n": "several answers to one request (n)",
    "schema": "JSON Schemas (response_format)",
}
INSTEAD: dict[Feature, str] = {
    "seed": "answers already in the ledger stay; another run may be answered otherwise",
    "logprobs": "use a server that gives them (vLLM and llama.cpp do), or a template without this need",
    "n": "use a server that honours it (vLLM and llama.cpp do), or a template without this need",
    "schema": "use a server that enforces them (vLLM and llama.cpp do), or a template that yields tags",
}


def describe(capabilities: Capabilities, needs: Iterable[Need], *, teacher: str) -> list[str]:
    """One warning for each feature that is needed and may be missing; `teacher` is how the teacher is named.

    Raises InputError when a template cannot work without what is missing; what nothing needs is not spoken of.
    """
    wanted: dict[Feature, list[str]] = {}
    for need in needs:
        wanted.setdefault(need.feature, []).append(need.where)
    warnings, refusals = [], []
    for feature, places in wanted.items():
        found = capabilities.of(feature)
        if found.able == "yes":
            continue
        where = ", ".join(dict.fromkeys(places))
        said = f" ({found.said})" if found.said else ""
        if found.able == "unknown":
            warnings.append(f"{teacher}: whether it honours {NAMES[feature]} could not be found out{said}; {where}")
        elif feature == "seed":
            warnings.append(f"{teacher}: does not honour {NAMES[feature]}{said}: {INSTEAD[feature]}; {where}")
        else:
            refusals.append((f"{teacher} does not honour {NAMES[feature]}{said}", where, INSTEAD[feature]))
    if refusals:
        whats, wheres, fixes = zip(*refusals, strict=True)
        raise InputError("; ".join(whats), where=", ".join(dict.fromkeys(wheres)), fix="; ".join(fixes))
    return warnings


# --- memory -----------------------------------------------------------------------------------------------------


def place(url: str, model: str, said: str) -> Path:
    """Where the findings about this model at this URL are kept; `said` is what the endpoint says of the model."""
    return cache_dir() / "probes" / f"{digest([VERSION, url, model, said])}.json"


def recall(url: str, model: str, said: str) -> Capabilities | None:
    try:
        return Capabilities.model_validate_json(place(url, model, said).read_bytes())
    except (OSError, ValidationError):
        return None


def remember(url: str, model: str, said: str, capabilities: Capabilities) -> None:
    """Keep what was found out; a cache folder that cannot be written means asking again next time."""
    if not capabilities.conclusive:
        return
    try:
        write_whole(place(url, model, said), dump(plain(capabilities)))
    except OSError:
        return
