"""Asks models on behalf of filters: each question through the ledger, once, within the budget, by the same engine that
asks the teachers; and measures on planted faults how far the judge can be trusted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import orjson

from instructlab_like.errors import PassingError, StoppedError
from instructlab_like.filters import AskFilter
from instructlab_like.filters.judgement import Judgement, not_applied, rejected
from instructlab_like.filters.parts.planting import planted
from instructlab_like.filters.parts.separation import Scored, Separation, separation
from instructlab_like.filters.pool import Pool
from instructlab_like.generation.ledger import Ledger, Spent
from instructlab_like.generation.purse import Price
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import Record, Sample
from instructlab_like.stages.evaluating.bench import Bench, Survey, surveyed
from instructlab_like.stages.filtering.panel import NO_ANSWER, Panel, Spool, flow_of
from instructlab_like.stages.generating.asking import Absent, Asked, Staff, price_of
from instructlab_like.stages.generating.progress import Sized
from instructlab_like.teachers.probe import Capabilities
from instructlab_like.workspace import replacing

NO_QUESTION = not_applied("the filter has no question about such a sample")


class Calibration(Record):
    """How well a filter's judge tells samples from the same with planted faults."""

    filter: str
    judge: str
    separation: Separation | None  # None: too few of the pairs were judged
    faults: dict[str, Separation | None]  # of each kind of fault alone
    pairs: int
    unjudged: int = 0  # pairs without two scores
    caught: int = 0  # faulty ones that the filter rejects
    lost: int = 0  # of the others, those that it rejects as well

    def told(self) -> str:
        """In a line: AUC with its 95 % interval, by fault, and what the threshold makes of it."""
        if self.separation is None:
            return (
                f"{self.filter}: of {self.pairs} planted pairs too few were judged to say how well {self.judge} judges"
            )
        area, counted = self.separation, self.pairs - self.unjudged
        each = ", ".join(
            f"{name} {found.area:.2f} ({found.pairs})" for name, found in sorted(self.faults.items()) if found
        )
        told = f"{self.filter}: AUC {area.area:.2f} [{area.low:.2f}-{area.high:.2f}] on {counted} planted pairs"
        told += f": {each}" if each else ""
        told += f"; it rejects {self.caught} of the {counted} faulty ones and {self.lost} of the others"
        return told + (f"; {self.unjudged} pairs more were not judged" if self.unjudged else "")


def says_nothing(error: StoppedError) -> bool:
    """Whether the asking ended because answers came, and there was nothing in any of them."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, PassingError):
        cause = cause.__cause__
    return cause is not None and cause.kind == "empty"


class Judging:
    """Judges pools of samples by what models say of them. Open with `with`; call it with a filter and a pool.

    The ledger is the caller's, and open. `used` is a file in which it is written at the end, a line each, which leaf
    needed which call. Without `asking`, what the ledger does not hold stays unanswered. A call that failed, or that the
    budget left no room for, rejects its sample as `no-answer`: `failed` and `stopped` then say that the run is not
    complete, and the next one asks again; so they do for a judge that says nothing to anybody. Raises what the engine
    raises for a judge that is gone.
    """

    def __init__(
        self,
        ledger: Ledger,
        recipe: GenerateRecipe,
        *,
        used: Path | None = None,
        scratch: Path | None = None,
        asking: bool = True,
        calibrating: bool = True,
    ) -> None:
        self.ledger, self.recipe, self.used, self.scratch, self.asking = ledger, recipe, used, scratch, asking
        self.calibrating = calibrating  # False: planted faults are judged another time
        self.failed: Counter[str] = Counter()  # calls without an answer, by kind
        self.answered = self.reused = 0  # calls
        self.stopped: StoppedError | None = None  # the budget is used up
        self.calibrations: list[Calibration] = []
        self.capabilities: dict[str, Capabilities] = {}  # of judges that were asked, by identity
        self.notes: list[str] = []

    def __enter__(self) -> Judging:
        self.stack = ExitStack()
        self.uses: BinaryIO | None = self.stack.enter_context(replacing(self.used)) if self.used else None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.__exit__(kind, error, trace)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is to be said of the judging as a whole, a sentence each."""
        return (*self.notes, *(one.told() for one in self.calibrations))

    @property
    def spent(self) -> dict[str, Spent]:
        """All that the ledger's calls came to, by whom they asked."""
        return self.ledger.spent_by()

    def __call__(self, chosen: AskFilter, pool: Pool) -> Iterator[tuple[int, Judgement]]:
        """The judgement on each sample of the pool, in order.

        Raises RecipeError, before anything is asked, for a judge of a maker's own family.
        """
        told = self.recipe.roles.get(chosen.role)
        if told is None:
            nobody = not_applied(f"no judge is named: the recipe's `roles` have no {chosen.role!r}")
            yield from ((place, nobody) for place in range(len(pool)))
            return
        survey = surveyed(chosen, pool, self.recipe.seed)
        judged_by = Bench(chosen, told, self.recipe)
        judged_by.admit(survey.makers)
        self.notes += judged_by.notes(survey.makers)
        with Spool(len(pool), self.scratch) as spool:
            if survey.places:
                self.bring(chosen, survey, judged_by, pool.sample, survey.places, spool.put)
                if survey.drawn and self.calibrating:
                    self.calibrate(chosen, survey, judged_by, pool, spool)
            asked = iter(survey.places)
            following = next(asked, None)
            for place in range(len(pool)):
                if place != following:
                    yield place, NO_QUESTION
                    continue
                following = next(asked, None)
                yield place, spool.get(place) or self.unasked(chosen)

    def unasked(self, chosen: AskFilter) -> Judgement:
        why = self.stopped.what if self.stopped is not None else "the asking was ended"
        if self.stopped is not None and says_nothing(self.stopped):
            return rejected(NO_ANSWER, f"the {chosen.role} says nothing: {why.partition(' (')[0]}")
        return rejected(NO_ANSWER, f"the {chosen.role} was not asked: {why.partition(':')[0]}")

    def bring(
        self,
        chosen: AskFilter,
        survey: Survey,
        judged_by: Bench,
        sample: Callable[[int], Sample],
        places: Sequence[int],
        settle: Callable[[int, Judgement], None],
    ) -> None:
        """Have the samples at these places judged, each as its last answer comes in."""
        flow = flow_of(chosen, survey.templates)
        staff = Staff([flow], judged_by.recipe, asking=self.asking, others=self.prices())
        judged_by.identity = staff.identities[chosen.role]
        asked = Asked()
        with Panel(chosen, flow, self.recipe, judged_by, sample, settle, self.note_use) as panel:
            try:
                sized = Sized(len(places))
                staff.bring(
                    panel.starts(places), panel, self.ledger, panel.done, asked, sized, whom=f"the {chosen.role}"
                )
            except StoppedError as error:
                if error.where != "budget" and not says_nothing(error):
                    raise
                self.stopped = error
        self.failed.update(asked.tally.failed)
        self.answered += asked.tally.answered
        self.reused += asked.tally.reused
        self.capabilities |= staff.capabilities

    def note_use(self, leaf: str, calls: Iterable[str]) -> None:
        if self.uses is not None:
            for call in calls:
                self.uses.write(orjson.dumps({"call": call, "leaf": leaf}, option=orjson.OPT_APPEND_NEWLINE))

    def prices(self) -> dict[str, Price]:
        """Of everybody whom the recipe names, as the budget counts what was spent on each."""
        everybody = self.recipe.everybody
        return {Absent(told).identity: price for told in everybody if (price := price_of(told)) is not None}

    def calibrate(self, chosen: AskFilter, survey: Survey, judged_by: Bench, pool: Pool, spool: Spool) -> None:
        """Have samples judged again with planted faults, and hold the scores against those that they had."""
        samples = [pool.sample(place) for place in survey.drawn]
        places = {sample.id: place for sample, place in zip(samples, survey.drawn, strict=True)}
        pairs = planted(samples)
        told: dict[int, Judgement] = {}
        if pairs and self.stopped is None:
            self.bring(chosen, survey, judged_by, lambda place: pairs[place].bad, range(len(pairs)), told.__setitem__)
        scored: list[tuple[str, Scored]] = []
        caught = lost = 0
        for number, pair in enumerate(pairs):
            good, bad = spool.get(places[pair.good.id]), told.get(number)
            if good is None or bad is None or good.score is None or bad.score is None:
                continue
            scored.append((pair.fault, Scored(good.score, bad.score)))
            caught += not bad.keep
            lost += not good.keep
        faults = {fault: separation([one for name, one in scored if name == fault]) for fault, _ in scored}
        self.calibrations.append(
            Calibration(
                filter=chosen.name,
                judge=judged_by.told.model,
                separation=separation([one for _, one in scored]),
                faults=faults,
                pairs=len(pairs),
                unjudged=len(pairs) - len(scored),
                caught=caught,
                lost=lost,
            )
        )
