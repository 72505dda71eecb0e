"""Applies filters in order, counts that no sample is lost, and says of each who rejected it.

What can be known of a sample by itself is found out in one pass over all of them, in several processes when there are
many, and remembered. The filters over the whole set then take their turns on sketches.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from instructlab_like.filters import AnyFilter, AskFilter, SetFilter, Surroundings, build, expand
from instructlab_like.filters.findings import Findings, inspected
from instructlab_like.filters.inspect import Finding, Inspector, is_pardoned, pardoned, verdict_line
from instructlab_like.filters.judgement import Judgement
from instructlab_like.filters.pool import Pool
from instructlab_like.recipe import FilterChoice
from instructlab_like.records import LeafCounts, PhaseCount, RuleCount, Sample, Verdict, Waterfall

# Has a model judge the samples of a pool; places that are not told are kept.
Asker = Callable[[AskFilter, Pool], Iterator[tuple[int, Judgement]]]
# Takes a line of 3-verdicts.jsonl and the place of the filter that it is about; the last place: of none, it was kept.
Tell = Callable[[int, bytes], object]
NO_JUDGE = "no judge is named"


@dataclass(frozen=True)
class Outcome:
    """`kept` in id order; `made_anew` are samples that filters put in the place of others, whatever became of them."""

    kept: Sequence[Sample]
    waterfall: Waterfall
    made_anew: Sequence[Sample] = ()
    remarks: tuple[str, ...] = ()
    looked_at: int = 0  # samples that were not remembered


@dataclass
class Sifted:
    """What became of a few samples, all in memory."""

    kept: tuple[Sample, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    waterfall: Waterfall = field(default_factory=Waterfall)
    remarks: tuple[str, ...] = ()
    masked: frozenset[str] = frozenset()  # rejected samples of which another, with parts masked, was kept in the end


def sift(
    samples: Sequence[Sample],
    filters: Sequence[FilterChoice],
    around: Surroundings,
    *,
    pardons: Sequence[str] = (),
) -> Sifted:
    """Judge samples in memory; raises RecipeError for an unknown filter or option before anything is judged."""
    told: list[tuple[int, int, bytes]] = []
    ordered = sorted(samples, key=lambda sample: (sample.id, sample.lineage.leaf))
    outcome = passed(
        ordered, filters, around, tell=lambda place, line: told.append((place, len(told), line)), pardons=pardons
    )
    verdicts = tuple(Verdict.model_validate_json(line) for _, _, line in sorted(told))
    kept = tuple(outcome.kept)
    return Sifted(kept, verdicts, outcome.waterfall, outcome.remarks, frozenset(originals(outcome.made_anew, kept)))


def originals(made_anew: Sequence[Sample], kept: Iterable[Sample]) -> dict[str, Sample]:
    """The kept samples that filters made in the place of others, by the ids of those, however often it was done."""
    anew = {sample.id: sample for sample in made_anew}
    found: dict[str, Sample] = {}
    for sample in kept if anew else ():
        if sample.id in anew:
            first = sample
            while first.lineage.parents[0] in anew:
                first = anew[first.lineage.parents[0]]
            found[first.lineage.parents[0]] = sample
    return found


def passed(
    samples: Sequence[Sample],
    filters: Sequence[FilterChoice],
    around: Surroundings,
    *,
    tell: Tell,
    pardons: Sequence[str] = (),
    ask: Asker | None = None,
    scratch: Path | None = None,
    memory: Path | None = None,
    processes: int = 1,
) -> Outcome:
    """What every filter kept of samples in id order, and what each filter did; verdicts are told as they are reached.

    `memory` is a folder for what need not be found out twice; `scratch` one for what does not fit into memory.
    Raises RecipeError for an unknown filter or option before anything is judged.
    """
    choices = expand(filters)
    chosen = [build(choice) for choice in choices]
    idle = [place for place, one in enumerate(chosen) if isinstance(one, SetFilter) and one.idle(around)]
    inspector = Inspector(chosen, around.leaves, pardons, idle)
    findings = inspected(samples, choices, inspector, scratch=scratch, memory=memory, processes=processes)
    turns = Turns(findings, chosen, around, tell, pardons, ask, memory, scratch)
    for place in range(len(chosen)):
        turns.take(place)
    return turns.end()


class Turns:
    """The filters' turns, one after the other; `alive` are the entries that all before have kept, in id order."""

    def __init__(
        self,
        findings: Findings,
        chosen: Sequence[AnyFilter],
        around: Surroundings,
        tell: Tell,
        pardons: Sequence[str],
        ask: Asker | None,
        memory: Path | None,
        scratch: Path | None,
    ) -> None:
        self.findings, self.chosen, self.around, self.tell = findings, chosen, around, tell
        self.pardons, self.ask, self.memory, self.scratch = pardons, ask, memory, scratch
        self.alive = array("I", range(findings.given))
        self.phases: list[PhaseCount] = []
        self.rules: Counter[tuple[int, str, str]] = Counter()
        self.lost: Counter[str] = Counter()  # by leaf; less those that were put in their place
        self.remarks: list[str] = []

    def take(self, place: int) -> None:
        one, before = self.chosen[place], self.alive
        unapplied = added = 0
        if isinstance(one, SetFilter | AskFilter):
            decided = self.together(place) if isinstance(one, SetFilter) else self.asked(place)
            left = array("I")
            at = 0
            for where, told in decided:
                if where < at or where >= len(before):
                    raise astray(one, len(before), where)
                left.extend(before[at:where])
                at = where + 1
                if self.settled(place, before[where], told):
                    left.append(before[where])
                    unapplied += not told.applied
            left.extend(before[at:])
        else:
            left, unapplied, added = self.apart(place)
        self.alive = left
        rejected = len(before) - (len(left) - added)
        self.phases.append(
            PhaseCount(
                filter=one.name,
                phase=one.phase,
                made=len(before),
                kept=len(before) - rejected,
                rejected=rejected,
                not_applied=unapplied,
                added=added,
            )
        )

    def apart(self, place: int) -> tuple[array[int], int, int]:
        """What a filter of samples one by one has left: it was found out before, and is now told."""
        left, new, unapplied = array("I"), array("I"), 0
        for entry in self.alive:
            if self.findings.stop[entry] != place:
                left.append(entry)
                unapplied += self.findings.unapplied[entry] >> place & 1
                continue
            finding = self.findings.finding(entry)
            self.tell_pardons(finding)
            self.tell(place, finding.line)
            verdict = Verdict.model_validate_json(finding.line)
            self.count(place, verdict.rule, finding.leaf)
            if finding.instead:
                new.append(self.findings.put(entry, finding))
                self.lost[finding.leaf] -= 1
        return (self.findings.in_order(left, new) if new else left), unapplied, len(new)

    def together(self, place: int) -> Iterator[tuple[int, Judgement]]:
        one = self.chosen[place]
        assert isinstance(one, SetFilter)
        if one.idle(self.around):
            return
        pool = Alive(self.findings, self.alive, self.number(place), self.scratch, self.remembered(one))
        rejected = array("I")
        for where, told in one.judge(pool, self.around):
            rejected.append(where)
            yield where, told
        self.remarks += one.remarks(pool, rejected, self.around)

    def asked(self, place: int) -> Iterator[tuple[int, Judgement]]:
        one = self.chosen[place]
        assert isinstance(one, AskFilter)
        if self.ask is None:
            return ((where, Judgement(True, NO_JUDGE, applied=False)) for where in range(len(self.alive)))
        return self.ask(one, Alive(self.findings, self.alive, None, self.scratch, None))

    def settled(self, place: int, entry: int, told: Judgement) -> bool:
        """Whether a sample goes on that a filter of many samples has named; what it said is told."""
        one = self.chosen[place]
        if told.keep and not told.applied:
            return True
        sample = self.findings.sample(entry)
        if not told.keep and is_pardoned(self.pardons, sample.id, one.name):
            told = pardoned(told)
        self.tell(place, verdict_line(one, sample, told))
        if not told.keep:
            self.count(place, told.rule, sample.lineage.leaf)
        return told.keep

    def tell_pardons(self, finding: Finding) -> None:
        for line in finding.pardons.splitlines(keepends=True):
            self.tell(len(self.chosen), line)

    def count(self, place: int, rule: str, leaf: str) -> None:
        self.rules[place, rule, leaf] += 1
        self.lost[leaf] += 1

    def number(self, place: int) -> int:
        """Of a filter among those that have sketches."""
        return sum(isinstance(one, SetFilter) for one in self.chosen[:place])

    def remembered(self, one: SetFilter) -> Path | None:
        if self.memory is None:
            return None
        folder = self.memory / f"{one.name}-{one.identity()[:16]}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def end(self) -> Outcome:
        for entry in self.alive:
            finding = self.findings.finding(entry)
            self.tell_pardons(finding)
            self.tell(len(self.chosen), finding.line)
        made = self.findings.made()
        leaves = tuple(
            LeafCounts(leaf=leaf, made=count, kept=count - self.lost[leaf]) for leaf, count in sorted(made.items())
        )
        rules = tuple(
            RuleCount(filter=self.chosen[place].name, rule=rule, leaf=leaf, rejected=count)
            for (place, rule, leaf), count in sorted(self.rules.items())
        )
        return Outcome(
            kept=self.findings.samples(self.alive),
            waterfall=Waterfall(phases=tuple(self.phases), leaves=leaves, rules=rules),
            made_anew=self.findings.made_anew(),
            remarks=tuple(self.remarks),
            looked_at=self.findings.looked_at,
        )


class Alive(Pool):
    """The samples that a filter over many is given."""

    def __init__(
        self, findings: Findings, entries: array[int], number: int | None, scratch: Path | None, memory: Path | None
    ) -> None:
        self.findings, self.entries, self.number = findings, entries, number
        self.scratch, self.memory = scratch, memory

    def __len__(self) -> int:
        return len(self.entries)

    def sample(self, place: int) -> Sample:
        return self.findings.sample(self.entries[place])

    def sketch(self, place: int) -> bytes:
        assert self.number is not None
        return self.findings.sketch(self.entries[place], self.number)

    def sketches(self) -> bytes:
        assert self.number is not None
        return self.findings.sketches(self.entries, self.number)

    def key(self, place: int) -> bytes:
        return self.findings.key(self.entries[place])


def astray(one: AnyFilter, given: int, where: int) -> RuntimeError:
    what = (
        f"filter {one.name!r} was given {given} samples, and names number {where + 1}, out of turn or beyond the last"
    )
    return RuntimeError(what)
