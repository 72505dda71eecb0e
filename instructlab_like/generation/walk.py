"""A record's way through the steps of its flow: prompts out, answers in, samples and verdicts at the end. Pure but for
templates that are rendered in a process of their own.

The engine decides when an answer arrives; what follows from it is decided here, the same in every run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType, TracebackType
from typing import Protocol

from instructlab_like.flows import AskStep, Condition, Flow, LeafKind, Limits, PreferStep, Same, Step
from instructlab_like.generation.ledger import Failure
from instructlab_like.generation.parse import VERSION, Group, read, reason
from instructlab_like.generation.quotation import find
from instructlab_like.generation.unaided import unaided
from instructlab_like.prompts import Renderer
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import (
    AskTask,
    Chunk,
    Completion,
    Leaf,
    Lineage,
    Message,
    Preference,
    Prompt,
    Sample,
    Sampling,
    Task,
    Turn,
    Verdict,
    digest,
    normalise,
    sample_id,
)

SAID = 200  # characters of a judge's own words in a verdict
SURPLUS = 1 << 20  # the place of what was not asked for, behind all that was
WHEN, PASSED_BY = "when", "passed by"  # the last part of a verdict's filter on who takes a step, and its rule
PARSE = "parse"  # the filter of verdicts on answers that could not be used, and on calls that got none

Seats = Mapping[tuple[str, str], str]  # by leaf and role, who is asked where a route chose; else the role says it
NO_SEATS: Seats = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class About:
    """What the prompts of a walk are about."""

    leaf: str
    leaf_blob: str
    kind: LeafKind
    variables: Mapping[str, object]
    seed: int | None = None  # number of the first seed example shown
    chunk: Chunk | None = None
    cell: Mapping[str, str] | None = None  # the names of the values that it has on the flow's axes
    parent: Sample | None = None  # of an earlier run, whose texts a record begins with


@dataclass(frozen=True, slots=True)
class Start:
    """Where a walk begins: with a first prompt, or with a task that needs no teacher."""

    number: int  # its place in the plan, from 0
    flow: Flow
    about: About
    task: Task


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict whose subject is not known yet: a record gets its id when its way ends."""

    filter: str
    version: int
    keep: bool
    reason: str
    score: float | None = None
    threshold: float | None = None
    partner: str | None = None
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record under way: the texts it has so far, who wrote them, and what was decided about it."""

    start: Start
    step: int = 0  # the next one
    place: tuple[int, ...] = ()  # among the records of its start
    fields: Mapping[str, str] = field(default_factory=dict)
    made: tuple[tuple[str, int, frozenset[str]], ...] = ()  # call, position and fields of each answer that wrote it
    authors: Mapping[str, Turn] = field(default_factory=dict)  # by field
    turns: tuple[Turn, ...] = ()
    decisions: tuple[Decision, ...] = ()
    parents: tuple[str, ...] = ()
    deepest: int = 0  # of the parents, in synthetic generations from human text
    sample: Sample | None = None  # where a model-free task made it

    @property
    def depth(self) -> int:
        return self.sample.lineage.depth if self.sample else self.deepest + 1

    @property
    def id(self) -> str:
        if self.sample:
            return self.sample.id
        made = [(call, position) for call, position, _ in self.made]
        return sample_id(self.start.about.leaf, self.start.flow.name, *made)


@dataclass(frozen=True, slots=True)
class Call:
    """A prompt that waits for its answer."""

    candidate: Candidate
    step: AskStep
    number: int  # of the step
    draw: int
    prompt: Prompt


@dataclass(frozen=True, slots=True)
class Ready:
    """A record whose next step asks; its prompts are rendered together with others'."""

    candidate: Candidate
    step: AskStep


@dataclass(frozen=True, slots=True)
class Finished:
    """A record at its end: a sample that goes on to the recipe's filters, or one that a step rejected."""

    start: Start
    place: tuple[int, ...]
    sample: Sample
    verdicts: tuple[Verdict, ...]

    @property
    def kept(self) -> bool:
        return all(verdict.keep for verdict in self.verdicts)


@dataclass(frozen=True, slots=True)
class Lost:
    """An answer, or a part of one, out of which no record came; `verdict` says why."""

    start: Start
    place: tuple[int, ...]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Preferred:
    start: Start
    place: tuple[int, ...]
    preference: Preference


Outcome = Call | Ready | Finished | Lost | Preferred


class Parents(Protocol):
    """Samples that earlier runs kept, for flows that begin with them."""

    def of(self, leaf: Leaf, chunks: Sequence[Chunk], /) -> Sequence[Sample]:
        """Those of a leaf that may be used, in the order of their ids; `chunks` are those that the leaf has now."""

    def count(self, leaf: Leaf, /) -> int: ...


class NoParents:
    """No earlier run is named."""

    def of(self, _leaf: Leaf, _chunks: Sequence[Chunk], /) -> Sequence[Sample]:
        return ()

    def count(self, _leaf: Leaf, /) -> int:
        return 0


NO_PARENTS = NoParents()


class Walk:
    """The steps of all flows of a run. Open with `with`: templates of the user's own are rendered in processes."""

    def __init__(
        self,
        flows: Sequence[Flow],
        recipe: GenerateRecipe,
        identities: Mapping[str, str],
        seats: Seats = NO_SEATS,
        *,
        parents: Parents = NO_PARENTS,
    ) -> None:
        self.flows = flows
        self.recipe = recipe
        self.identities = identities  # of the teacher in each role, or seat
        self.seats = seats
        self.parents = parents
        self.renderers: dict[tuple[str, str], Renderer] = {}

    def __enter__(self) -> Walk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for renderer in self.renderers.values():
            renderer.__exit__(kind, error, trace)

    def begin(self, start: Start) -> list[Outcome]:
        """The first call of a walk; or, where no teacher is needed, all that comes of its samples."""
        task = start.task
        if isinstance(task, AskTask):
            step = start.flow.first
            assert isinstance(step, AskStep)
            return [Call(taken_up(start), step, 0, task.prompt.lineage.draw, task.prompt)]
        made = []
        for number, sample in enumerate(unaided(task)):
            fields = {"question": sample.question, "answer": sample.answer}
            begun = Candidate(start, step=1, place=(number,), fields=fields, sample=sample)
            made += self.filtered(begun, start.flow.first)
        return made

    def received(self, call: Call, completion: Completion) -> list[Outcome]:
        """What an answer leads to: a record for each group in it, or one verdict on all of it."""
        prompt, step = call.prompt, call.step
        length = completion.finish_reason == "length"
        reading = read(completion.text, prompt.yields, prompt.answer_schema, prompt.tags, cut=length)
        groups = reading.groups
        if not groups:
            why = reason(completion, prompt.yields, prompt.answer_schema, reading.broken, prompt.tags)
            return self.unusable(call, why)
        if len(groups) > 1 and not step.fan_out:
            return self.unusable(call, f"the answer holds {len(groups)} where one was asked for")
        made: list[Outcome] = []
        most = self.recipe.pairs_per_prompt
        for group in groups[:most]:
            made += self.grown(call, group)
        if len(groups) > most:
            more = f"{len(groups) - most} more than the {most} that were asked for"
            made.append(
                Lost(call.candidate.start, (*call.candidate.place, call.draw, SURPLUS), self.on_call(call, more))
            )
        cut = step.fan_out and length
        if reading.broken or cut:
            more = f"{reading.broken} more of the answer {'is' if reading.broken == 1 else 'are'} not whole"
            why = more if reading.broken else "the answer breaks off after what is whole"
            why += "; it was cut off at max_tokens" if cut else ""
            made.append(Lost(call.candidate.start, (*call.candidate.place, call.draw), self.on_call(call, why)))
        return made

    def failed(self, call: Call, failure: Failure) -> list[Outcome]:
        """What follows when a call got no answer in all its attempts."""
        told = failure.error.splitlines()[0] if failure.error else "no reason given"
        return self.unusable(call, f"no answer ({failure.kind}): {told}")

    def unusable(self, call: Call, why: str) -> list[Outcome]:
        candidate = call.candidate
        if not candidate.turns and candidate.sample is None:
            return [Lost(candidate.start, (*candidate.place, call.draw), self.on_call(call, why))]
        name = f"{candidate.start.flow.name}/{call.step.name}"
        decision = Decision(name, VERSION, False, f"the {call.step.role}: {why}", partner=call.prompt.key)
        ended = replace(candidate, place=(*candidate.place, call.draw), decisions=(*candidate.decisions, decision))
        return [self.finished(ended)]

    def on_call(self, call: Call, why: str) -> Verdict:
        leaf = call.candidate.start.about.leaf
        return Verdict(subject=call.prompt.key, leaf=leaf, filter=PARSE, version=VERSION, keep=False, reason=why)

    def grown(self, call: Call, group: Group) -> list[Outcome]:
        """The record with the texts of one group, judged by the step, and what comes after it."""
        before, step, prompt = call.candidate, call.step, call.prompt
        position = group.number - 1
        template = before.start.flow.templates[step.name]
        turn = Turn(
            step=step.name,
            role=step.role,
            template=template.name,
            template_blob=template.blob,
            model=prompt.lineage.model,
            call=prompt.key,
            position=position,
            draw=call.draw,
        )
        added = {step.named_as.get(tag, tag): text for tag, text in group.texts.items()}
        wrote = step.name in before.start.flow.writing
        grown = Candidate(
            before.start,
            step=call.number + 1,
            place=(*before.place, call.draw, position),
            fields={**before.fields, **added},
            made=(*before.made, (prompt.key, position, frozenset(added))) if wrote else before.made,
            authors={**before.authors, **dict.fromkeys(added, turn)} if wrote else before.authors,
            turns=(*before.turns, turn),
            decisions=before.decisions,
            parents=before.parents,
            deepest=before.deepest,
            sample=before.sample,
        )
        name = f"{before.start.flow.name}/{step.name}"
        several = len(step.keep) > 1
        for judgement, wanted in step.keep.items():
            decision = met(f"{name}/{judgement}" if several else name, judgement, wanted, grown)
            if why := grown.fields.get(explained(step, prompt.yields, judgement)):
                decision = replace(decision, reason=f"{decision.reason}; because {short(why, SAID)}")
            grown = replace(grown, decisions=(*grown.decisions, decision))
            if not decision.keep:
                return [self.finished(grown)]
        return self.filtered(grown, step)

    def filtered(self, candidate: Candidate, step: Step) -> list[Outcome]:
        """The record after the step's filters, and what comes after it if they keep it."""
        for chosen in candidate.start.flow.filters[step.name]:
            told = chosen.judge(self.sample(candidate))
            decision = Decision(
                f"{candidate.start.flow.name}/{step.name}/{chosen.name}",
                chosen.version,
                told.keep,
                told.reason,
                told.score,
                told.threshold,
                told.partner,
                told.rule,
            )
            candidate = replace(candidate, decisions=(*candidate.decisions, decision))
            if not told.keep:
                return [self.finished(candidate)]
        return list(self.onward(candidate))

    def onward(self, candidate: Candidate) -> Iterator[Outcome]:
        steps = candidate.start.flow.steps
        while candidate.step < len(steps):
            step = steps[candidate.step]
            assert isinstance(step, AskStep | PreferStep)
            if step.when:
                decision, taken = deciding(candidate, step)
                candidate = replace(candidate, decisions=(*candidate.decisions, decision))
                if not decision.keep:
                    break
                if not taken:
                    candidate = replace(candidate, step=candidate.step + 1)
                    continue
            if isinstance(step, PreferStep):
                yield from self.preferred(candidate, step)
            else:
                yield Ready(candidate, step)
            return
        yield self.finished(candidate)

    def preferred(self, candidate: Candidate, step: PreferStep) -> Iterator[Outcome]:
        """The better of two texts goes on as the answer; the other is a sample rejected for it."""
        one, other = step.of
        if normalise(candidate.fields[one]) == normalise(candidate.fields[other]):
            decision = Decision(f"{candidate.start.flow.name}/{step.name}", VERSION, True, f"the {other} is the {one}")
            same = {**candidate.fields, "answer": candidate.fields[one]}
            made = tuple(entry for entry in candidate.made if other not in entry[2])
            unchanged = replace(
                candidate,
                step=candidate.step + 1,
                fields=same,
                made=made,
                authors=authored(candidate, one),
                decisions=(*candidate.decisions, decision),
            )
            yield from self.filtered(unchanged, step)
            return
        scores = [number_in(candidate.fields[name]) for name in step.by]
        first = replace(
            candidate,
            step=candidate.step + 1,
            place=(*candidate.place, 0),
            fields={**candidate.fields, "answer": candidate.fields[one]},
            made=tuple(entry for entry in candidate.made if other not in entry[2]),
            authors=authored(candidate, one),
        )
        brought = candidate.start.about.parent is not None and not {one, other} <= candidate.authors.keys()
        second = replace(
            candidate,
            step=candidate.step + 1,
            place=(*candidate.place, 1),
            fields={**candidate.fields, "answer": candidate.fields[other]},
            authors=authored(candidate, other),
            # a text that its parent brought is no generation of its own: both are the parent's children then
            parents=candidate.parents if brought else (first.id,),
            deepest=candidate.deepest if brought else first.depth,
            sample=None,
        )
        before, after = scores
        improved = before is not None and after is not None and after > before + step.margin
        winner, loser = (second, first) if improved else (first, second)
        name = f"{candidate.start.flow.name}/{step.name}"
        told = f"the {one} has {shown(before)}, the {other} {shown(after)}"
        threshold = None if before is None else before + step.margin
        kept = Decision(name, VERSION, True, f"preferred: {told}", after, threshold, loser.id)
        left = Decision(name, VERSION, False, f"not preferred: {told}", after, threshold, winner.id)
        yield self.finished(replace(loser, decisions=(*loser.decisions, left)))
        if before is not None and after is not None and before != after:
            chosen, rejected = (second, first) if after > before else (first, second)
            if chosen is winner:
                preference = self.preference(chosen, rejected, max(before, after), min(before, after))
                yield Preferred(candidate.start, candidate.place, preference)
        yield from self.filtered(replace(winner, decisions=(*winner.decisions, kept)), step)

    def preference(self, chosen: Candidate, rejected: Candidate, high: float, low: float) -> Preference:
        one, other = self.sample(chosen), self.sample(rejected)
        return Preference(
            leaf=one.lineage.leaf,
            chosen=one.id,
            rejected=other.id,
            chosen_score=high,
            rejected_score=low,
            messages=one.messages[:-1],
            chosen_answer=one.answer,
            rejected_answer=other.answer,
        )

    def finished(self, candidate: Candidate) -> Finished:
        sample = self.sample(candidate)
        leaf = candidate.start.about.leaf
        verdicts = tuple(
            Verdict(
                subject=sample.id,
                leaf=leaf,
                filter=decision.filter,
                version=decision.version,
                keep=decision.keep,
                reason=decision.reason,
                score=decision.score,
                threshold=decision.threshold,
                partner=decision.partner,
                rule=decision.rule,
            )
            for decision in candidate.decisions
        )
        return Finished(candidate.start, candidate.place, sample, verdicts)

    def sample(self, candidate: Candidate) -> Sample:
        if candidate.sample:
            if not candidate.turns:
                return candidate.sample
            lineage = candidate.sample.lineage.model_copy(update={"turns": candidate.turns})
            return candidate.sample.model_copy(update={"lineage": lineage})
        about, fields = candidate.start.about, candidate.fields
        own = None if about.parent is None or "answer" in candidate.authors else about.parent.lineage
        author = candidate.authors.get("answer") or candidate.turns[-1]
        context = about.chunk.text if about.chunk else fields.get("context")
        return Sample(
            id=candidate.id,
            kind=about.kind,
            question=fields.get("question", ""),
            answer=fields.get("answer", ""),
            context=context,
            evidence=find(fields["evidence"], context) if context and "evidence" in fields else None,
            lineage=Lineage(
                leaf=about.leaf,
                leaf_blob=about.leaf_blob,
                method=own.method if own else "teacher",
                model=own.model if own else author.model,
                flow=candidate.start.flow.name,
                flow_blob=candidate.start.flow.blob,
                turns=candidate.turns,
                seed=about.seed,
                chunk=about.chunk.id if about.chunk else None,
                template=own.template if own else author.template,
                template_blob=own.template_blob if own else author.template_blob,
                params=dict(about.cell) if about.cell else None,
                draw=own.draw if own else author.draw,
                parents=candidate.parents,
                depth=candidate.depth,
            ),
        )

    # --- prompts

    def calls(self, ready: Sequence[Ready]) -> Iterator[Call]:
        """The calls of records whose next step asks; prompts of one template are rendered together."""
        by_step: dict[tuple[str, str], list[Ready]] = {}
        for one in ready:
            by_step.setdefault((one.candidate.start.flow.name, one.step.name), []).append(one)
        for together in by_step.values():
            flow, step = together[0].candidate.start.flow, together[0].step
            rendered = self.renderer(flow, step).render([self.known(one) for one in together])
            for one, messages in zip(together, rendered, strict=True):
                for draw in range(step.draws):
                    prompt = self.prompt(flow, step, one.candidate.start.about, messages, draw)
                    yield Call(one.candidate, step, one.candidate.step, draw, prompt)

    def known(self, ready: Ready) -> Mapping[str, object]:
        """What the step's template sees: the leaf's variables, the texts so far, and what `with` gives another name."""
        candidate, step = ready.candidate, ready.step
        count = self.recipe.pairs_per_prompt if step.fan_out else 1
        known = {**candidate.start.about.variables, **candidate.fields, "count": count}
        return known | {variable: known[source] for variable, source in step.given.items()} if step.given else known

    def renderer(self, flow: Flow, step: AskStep) -> Renderer:
        found = self.renderers.get((flow.name, step.name))
        if found is None:
            found = self.renderers[flow.name, step.name] = flow.templates[step.name].renderer().__enter__()
        return found

    def prompt(self, flow: Flow, step: AskStep, about: About, messages: tuple[Message, ...], draw: int) -> Prompt:
        template = flow.templates[step.name]
        return Prompt(
            messages=messages,
            sampling=template.sampled(self.sampling(draw)),
            yields=template.yields,
            answer_schema=template.answer_schema,
            tags=template.tags,
            lineage=Lineage(
                leaf=about.leaf,
                leaf_blob=about.leaf_blob,
                method="teacher",
                model=self.identities[self.seats.get((about.leaf, step.role), step.role)],
                flow=flow.name,
                seed=about.seed,
                chunk=about.chunk.id if about.chunk else None,
                template=template.name,
                template_blob=template.blob,
                params=dict(about.cell) if about.cell else None,
                draw=draw,
                parents=(about.parent.id,) if about.parent else (),
                depth=1 + (about.parent.lineage.depth if about.parent else 0),
            ),
        )

    def sampling(self, draw: int) -> Sampling:
        return Sampling(
            temperature=self.recipe.temperature,
            max_tokens=self.recipe.max_tokens,
            seed=derived_seed(self.recipe.seed, draw),
        )


def derived_seed(*parts: str | int) -> int:
    """31 bits, which every server takes. A teacher's seed never holds a leaf's path: renaming a leaf asks nothing."""
    return int(digest(list(parts))[:8], 16) >> 1


def taken_up(start: Start) -> Candidate:
    """The record at its first step: empty, or with the texts of the sample that it takes up."""
    parent = start.about.parent
    if parent is None:
        return Candidate(start)
    fields = brought(parent)
    made = ((parent.id, 0, frozenset(fields)),)
    return Candidate(start, fields=fields, made=made, parents=(parent.id,), deepest=parent.lineage.depth)


def brought(parent: Sample) -> dict[str, str]:
    """The texts of a sample that a record begins with; a knowledge leaf's passage is a variable of its own."""
    texts = {"question": parent.question, "answer": parent.answer}
    if parent.context and parent.kind == "grounded":
        texts["context"] = parent.context
    if parent.context and parent.evidence:
        texts["evidence"] = parent.context[slice(*parent.evidence)]
    return texts


def authored(candidate: Candidate, field: str) -> Mapping[str, Turn]:
    author = candidate.authors.get(field)
    return {**candidate.authors, "answer": author} if author else candidate.authors


def judged(name: str, field: str, text: str, wanted: tuple[str, ...] | Limits) -> Decision:
    """Whether a judgement lets a record go on; one that is no judgement does not."""
    if not isinstance(wanted, Limits):
        keep = normalise(text) in {normalise(word) for word in wanted}
        told = f"{field} is {short(text)}" + ("" if keep else f", not {' or '.join(wanted)}")
        return Decision(name, VERSION, keep, told)
    score = number_in(text)
    if score is None:
        return Decision(name, VERSION, False, f"{field} is no number: {short(text)}")
    if wanted.at_least is not None and score < wanted.at_least:
        told = f"{field} is {score:g}, less than {wanted.at_least:g}"
        return Decision(name, VERSION, False, told, score, wanted.at_least)
    if wanted.at_most is not None and score > wanted.at_most:
        told = f"{field} is {score:g}, more than {wanted.at_most:g}"
        return Decision(name, VERSION, False, told, score, wanted.at_most)
    threshold = wanted.at_least if wanted.at_least is not None else wanted.at_most
    return Decision(name, VERSION, True, f"{field} is {score:g}", score, threshold)


def met(name: str, field: str, wanted: Condition, candidate: Candidate) -> Decision:
    """Whether a condition holds of a record."""
    if isinstance(wanted, Same):
        return compared(name, field, wanted.same_as, candidate)
    return judged(name, field, candidate.fields[field], wanted)


def deciding(candidate: Candidate, step: AskStep | PreferStep) -> tuple[Decision, bool]:
    """What is logged of a step's `when`, and whether the step is taken.

    The record goes on either way, but for one whose score is no number: nobody can tell then what it needs.
    """
    flow = candidate.start.flow
    name = f"{flow.name}/{step.name}/{WHEN}"
    done, left = ("compared", "not compared")
    if isinstance(step, AskStep):
        done, left = f"asked the {step.role}", f"the {step.role} was not asked"
    told = []
    for judgement, wanted in step.when.items():
        found = met(name, judgement, wanted, candidate)
        if isinstance(wanted, Limits) and found.score is None:
            return found, False
        why = candidate.fields.get(said_of(flow, candidate.step, judgement), "")
        because = f"; because {short(why, SAID)}" if why else ""
        if not found.keep:
            return replace(found, keep=True, rule=PASSED_BY, reason=f"{found.reason}: {left}{because}"), False
        limit = f", {limits(wanted)}" if isinstance(wanted, Limits) else ""
        told.append((replace(found, reason=f"{found.reason}{limit}"), because))
    reasons = " and ".join(one.reason for one, _ in told)
    return replace(told[0][0], reason=f"{reasons}: {done}{told[0][1]}"), True


def limits(wanted: Limits) -> str:
    """The range in words."""
    told = [("at least", wanted.at_least), ("at most", wanted.at_most)]
    return " and ".join(f"{word} {bound:g}" for word, bound in told if bound is not None)


def said_of(flow: Flow, before: int, judgement: str) -> str:
    """The field in which the last step before one says why it judged so."""
    for step in reversed(flow.steps[:before]):
        if isinstance(step, AskStep):
            yields = flow.templates[step.name].yields
            if judgement in (step.named_as.get(tag, tag) for tag in yields):
                return explained(step, yields, judgement)
    return ""


def compared(name: str, field: str, other: str, candidate: Candidate) -> Decision:
    """Whether a field is what another one, or the value on an axis, is."""
    known = {**(candidate.start.about.cell or {}), **candidate.fields}
    text, wanted = (" ".join(known[one].split()) for one in (field, other))
    if text == wanted:
        return Decision(name, VERSION, True, f"{field} is {short(text)}, as is {other}")
    return Decision(name, VERSION, False, f"{field} is {short(text)}, {other} {short(wanted)}")


def explained(step: AskStep, yields: Sequence[str], judgement: str) -> str:
    """The field in which a judge says why: the one that its template yields before the judgement."""
    names = [step.named_as.get(tag, tag) for tag in yields]
    place = names.index(judgement) if judgement in names else 0
    before = names[place - 1] if place else ""
    return "" if before in step.keep else before


NUMBER = re.compile(r"[^\w\-.]*(-?\d{1,6}(?:\.\d{1,6})?)(?:\s*(?:/|of|out of)\s*\d{1,4}(?:\.\d+)?)?[^\w]*", re.ASCII)


def number_in(text: str) -> float | None:
    """The number that a text is, alone or as "4/5"; None where it says anything else, for then it must be guessed."""
    found = NUMBER.fullmatch(text.strip())
    return float(found[1]) if found else None


def shown(score: float | None) -> str:
    return "no score" if score is None else f"{score:g}"


def short(text: str, width: int = 60) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= width else line[: width - 1] + "…")
