"""What is seen while answers come in: how fast, what was kept and why not, what it cost, how long it will take."""

from __future__ import annotations

import re
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence

from instructlab_like.flows import Flow
from instructlab_like.generation.engine import Done, End, Tally
from instructlab_like.generation.figures import span_of_time
from instructlab_like.generation.foresee import first_prompts
from instructlab_like.generation.purse import Purse
from instructlab_like.generation.walk import Finished, Lost, Start, Walk
from instructlab_like.records import Knowledge, Leaf, Verdict

WINDOW = 30.0  # seconds over which the rate is taken
TOLD = 3  # reasons of rejection that are named
PARTICULAR = re.compile(r"'[^']*'|\"[^\"]*\"|\d+(?:[.,]\d+)*")  # what differs between rejections for one reason

Known = Callable[[Leaf], int | None]  # how many chunks a leaf has, if that is known before it is planned


class Outlook:
    """How many starts a plan has: counted where planning is done, else foreseen from the leaf.

    A skill's prompts are known from its seeds and a document's from its chunks; leaves whose documents have not been
    read are taken to be like those that have.
    """

    def __init__(self, leaves: Sequence[Leaf], walk: Walk, chunks: Known = lambda _: None) -> None:
        self.walk, self.chunks = walk, chunks
        self.left = [(leaf, flow) for leaf in leaves for flow in walk.flows if flow.takes(leaf) and flow.asks]
        self.planned: Counter[tuple[str, str]] = Counter()  # starts of leaves and flows, as they came
        self.place: tuple[str, str] | None = None

    def passing(self, starts: Iterator[Start]) -> Iterator[Start]:
        for start in starts:
            self.place = (start.about.leaf, start.flow.name)
            if start.flow.asks:
                self.planned[self.place] += 1
            yield start
        self.left = []

    def expected(self) -> int:
        """Starts that ask, planned and to come."""
        names = [(leaf.path, flow.name) for leaf, flow in self.left]
        if self.place in names:
            self.left = self.left[names.index(self.place) :]
        total = float(sum(list(self.planned.values())))
        for number, (leaf, flow) in enumerate(self.left):
            foreseen = self.foreseen(leaf, flow)
            total += max(0.0, foreseen - self.planned[leaf.path, flow.name]) if number == 0 else foreseen
        return round(total)

    def foreseen(self, leaf: Leaf, flow: Flow) -> float:
        if flow.begins_with_samples:
            return min(self.walk.parents.count(leaf), self.walk.recipe.prompts_per_leaf)
        chunks = self.chunks(leaf) if isinstance(leaf, Knowledge) else 0
        if chunks is not None:
            return first_prompts(leaf, flow, chunks, self.walk.recipe)
        own = self.left[0][0].path if self.left else ""
        planned = list(self.planned.items())  # at once: another thread is planning
        done = [count for (path, name), count in planned if name == flow.name and path != own]
        return sum(done) / len(done) if done else self.walk.recipe.prompts_per_leaf


class Sized:
    """An outlook on starts whose number is known."""

    def __init__(self, count: int) -> None:
        self.count = count

    def passing(self, starts: Iterator[Start]) -> Iterator[Start]:
        return starts

    def expected(self) -> int:
        return self.count


class Progress:
    """Told of every walk that ends; knows what to say of all at any moment."""

    def __init__(
        self,
        tally: Tally,
        purse: Purse,
        outlook: Outlook | Sized | None,
        done: Done,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tally, self.purse, self.outlook, self.done, self.clock = tally, purse, outlook, done, clock
        self.kept = 0
        self.asked = 0  # walks that asked and have ended
        self.rejected: Counter[tuple[str, str]] = Counter()  # by filter and reason
        self.marks: deque[tuple[float, int, int]] = deque([(clock(), 0, 0)])

    def take(self, start: Start, ends: list[End]) -> None:
        for end in ends:
            if isinstance(end, Finished) and end.kept:
                self.kept += 1
            elif isinstance(end, Finished):
                self.reject(end.verdicts[-1])
            elif isinstance(end, Lost):
                self.reject(end.verdict)
        if start.flow.asks:
            self.asked += 1
        self.done(start, ends)

    def reject(self, verdict: Verdict) -> None:
        self.rejected[verdict.filter, PARTICULAR.sub("…", verdict.reason.partition("; because")[0])] += 1

    def rows(self) -> list[str]:
        """How far, what came of it, what it cost; nothing as long as nobody was asked and nothing has ended."""
        tally = self.tally
        if not (tally.answered or tally.reused or tally.failed or tally.retried):
            return []
        rate, speed = self.rates()
        heard = f"{tally.answered:,} answers" + (f" ({rate:.1f}/s)" if rate else "")
        heard += f", {tally.reused:,} from the ledger" if tally.reused else ""
        rows = [f"{heard}, {self.far(speed)}", self.fates(), self.spent()]
        return [row for row in rows if row]

    def far(self, speed: float) -> str:
        if self.outlook is None:
            return f"{self.tally.ended:,} of {self.tally.begun:,} starts walked so far"
        expected = max(self.outlook.expected(), self.asked)
        about = "" if self.tally.planned else "about "
        left = f", {span_of_time((expected - self.asked) / speed)} left" if speed and expected > self.asked else ""
        return f"{self.asked:,} of {about}{expected:,} starts walked{left}"

    def fates(self) -> str:
        rejected = sum(self.rejected.values())
        if not (self.kept or rejected):
            return ""
        told = f"kept {self.kept:,}, rejected {rejected:,}"
        if not rejected:
            return told
        most = self.rejected.most_common(TOLD)
        more = len(self.rejected) - len(most)
        named = ", ".join(f"{count:,} {name} ({reason})" for (name, reason), count in most)
        return f"{told}: {named}" + (f", {more} reasons more" if more else "")

    def spent(self) -> str:
        purse, tally = self.purse, self.tally
        told = f"{purse.calls:,} calls, {purse.tokens:,} tokens"
        told += f", {purse.money:.4f} in money" if purse.priced else ""
        for what, counts in (("repeated", tally.retried), ("without an answer", tally.failed)):
            told += f", {counts.total():,} {what}" if counts else ""
        return told

    def rates(self) -> tuple[float, float]:
        """Answers and asking walks a second, lately."""
        now = self.clock()
        self.marks.append((now, self.tally.answered, self.asked))
        while len(self.marks) > 2 and now - self.marks[1][0] >= WINDOW:
            self.marks.popleft()
        since, answered, asked = self.marks[0]
        passed = now - since
        return ((self.tally.answered - answered) / passed, (self.asked - asked) / passed) if passed > 0 else (0.0, 0.0)
