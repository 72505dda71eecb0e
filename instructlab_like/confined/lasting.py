"""Templates rendered for as long as a run goes on, in confined processes one after the other.

As for a leaf's batch, each 400 prompts in a row have 2 s of processor time; one process is not enough for that, since
all its life has 2 s. So it is replaced in time: half of them are used by then, and no request may need the other half
if the 400 keep to their 2 s. A new process costs 0.08 s, which is a twelfth of what the old one did.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from instructlab_like.confined.process import BATCH, PATIENCE, SECONDS, Confined, Values
from instructlab_like.confined.wire import Bounds, Rendered
from instructlab_like.errors import TemplateError

PORTION = BATCH // 2  # prompts of one request
AGED = SECONDS / 2  # of processor time, after which a process is replaced


class Ration:
    """The processor time that each 400 prompts in a row have, wherever they are rendered."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.prompts = 0  # of the 400
        self.seconds = 0.0  # that they took

    def prompted(self, prompts: int) -> None:
        if self.prompts + prompts > BATCH:
            self.prompts, self.seconds = 0, 0.0
        self.prompts += prompts

    def took(self, seconds: float) -> None:
        """Raises TemplateError when that is more than was left."""
        self.seconds += seconds
        if self.seconds > SECONDS:
            what = f"needs more than {SECONDS:g} s of processor time for {self.prompts} prompts"
            raise TemplateError(what, where=self.where, fix="loop less in the templates")


class Lasting:
    """Open with `with`; a process is started on first use. For one thread."""

    def __init__(self, sources: Sequence[str], bounds: Bounds, *, where: str) -> None:
        self.sources = sources
        self.bounds = bounds
        self.where = where
        self.confined: Confined | None = None
        self.ration = Ration(where)

    def __enter__(self) -> Lasting:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def render(self, calls: Sequence[tuple[int, Values]], *, each: int) -> Rendered:
        """The text of each call, up to the first that fails; `each` is how many calls a prompt has."""
        texts: list[str] = []
        for start in range(0, len(calls), PORTION * each):
            portion = calls[start : start + PORTION * each]
            rendered = self._portion(portion, prompts=len(portion) // each)
            texts += rendered.texts
            if rendered.failure:
                return Rendered(tuple(texts), rendered.failure)
        return Rendered(tuple(texts))

    def _portion(self, calls: Sequence[tuple[int, Values]], *, prompts: int) -> Rendered:
        self.ration.prompted(prompts)
        confined = self._ready()
        before = confined.spent
        try:
            rendered = confined.render(calls)
        except TemplateError:
            if not before or not confined.overspent:
                raise
            confined, before = self._ready(), 0.0  # what was left to it was not the whole
            rendered = confined.render(calls)
        self.ration.took(confined.spent - before)
        return rendered

    def _ready(self) -> Confined:
        """A process that may still use half of its processor time, with all its patience."""
        if self.confined and (self.confined.ended or self.confined.spent > AGED):
            self._end()
        if not self.confined:
            self.confined = Confined(self.sources, self.bounds, where=self.where, seconds=SECONDS).__enter__()
        self.confined.patience = PATIENCE * SECONDS
        return self.confined

    def _end(self) -> None:
        if self.confined:
            self.confined.__exit__(None, None, None)
            self.confined = None
