"""Templates that come with the code: looked at like all others, then rendered by Jinja alone, in this process.

What may stand in them is the same, and they give the same texts; only nothing is weighed or counted, which is three
quarters of what a rendering in the sandbox takes.
"""

from __future__ import annotations

from collections.abc import Mapping

import jinja2
from jinja2 import nodes
from jinja2.utils import Namespace

from instructlab_like.confined.sandbox import LAYOUT, NAME, FieldsFirst, Sandbox, whole
from instructlab_like.confined.wire import Bounds


class Trusted(Sandbox):
    def __init__(self, bounds: Bounds) -> None:
        super().__init__(bounds)
        self.plain = FieldsFirst(undefined=jinja2.StrictUndefined, **LAYOUT)
        self.plain.filters = {name: self.plain.filters[name] for name in bounds.filters}
        self.plain.globals = {"range": range, "dict": dict, "namespace": Namespace}

    def compiled(self, tree: nodes.Template) -> jinja2.Template:
        code = self.plain.compile(tree, filename=NAME)
        return jinja2.Template.from_code(self.plain, code, self.plain.make_globals(None))

    def text(self, template: jinja2.Template, values: Mapping[str, object]) -> str:
        return whole(template.render(values))
