"""Plain templates rendered in this process: in the same sandbox, and with as much processor time as confined ones."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from instructlab_like.confined.lasting import Ration
from instructlab_like.confined.plain import is_json
from instructlab_like.confined.process import Values
from instructlab_like.confined.sandbox import Sandbox
from instructlab_like.confined.wire import Bounds, Part, Rendered


class Here:
    """For one thread; raises NotPlainError for parts that make no plain template."""

    def __init__(self, listings: Sequence[Sequence[Part]], bounds: Bounds, *, where: str) -> None:
        self.sandbox = Sandbox(bounds)
        self.ration = Ration(where)
        for parts in listings:
            self.sandbox.take(parts)

    def render(self, calls: Sequence[tuple[int, Values]], *, each: int) -> Rendered:
        """The text of each call, up to the first that fails; `each` is how many calls a prompt has."""
        texts: list[str] = []
        for place, (number, values) in enumerate(calls):
            if place % each == 0:
                self.ration.prompted(1)
            began = time.thread_time()
            rendered = self.sandbox.render([(number, sent(values))])
            self.ration.took(time.thread_time() - began)
            texts += rendered.texts
            if rendered.failure:
                return Rendered(tuple(texts), rendered.failure)
        return Rendered(tuple(texts))


def sent(values: Values) -> Values:
    """The values as a confined process would get them: a tuple is a list there, and nothing is an object."""
    return {name: value if is_json(value) else json.loads(json.dumps(value)) for name, value in values.items()}
