"""What comes with the code gives in this process what it would give in the sandbox, texts and failures alike."""

from __future__ import annotations

import pytest

from instructlab_like.confined.sandbox import Sandbox
from instructlab_like.confined.trusted import Trusted
from instructlab_like.prompts import BOUNDS

VALUES: dict[str, object] = {
    "x": " tide é ",
    "n": 3,
    "d": {"a": 1, "items": "field", "deep": {"list": [1, 2]}},
    "pairs": [{"question": "Q?", "answer": "A."}, {"question": "R?", "answer": "B."}],
}
SOURCES = [
    "{{ x }}|{{ x|trim|upper }}|{{ n + 1 }}|{{ 2.5|round }}|{{ none }}|{{ true }}",
    "{% for pair in pairs %}\n  {{ loop.index }}/{{ loop.length }} {{ pair.question }}\n{% endfor %}\n",
    "{% for pair in pairs %}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}"
    "{{ loop.previtem.answer if not loop.first }}{{ loop.cycle('a', 'b') if false }}{% endfor %}",
    "{{ d.a }} {{ d['items'] }} {{ d.deep.list|join('-') }} {{ d.get('z', 'none') }} {{ d.keys()|list }}",
    "{% for key, value in d.items() %}{{ key }}{% endfor %}",
    "{% set ns = namespace(a=0) %}{% for i in range(n) %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}",
    "{{ dict(k=n).k }} {{ (1, 'q')|join }} {{ 'a' < 'b' }} &lt; <b>",
    "one\n{{ missing }}",
    "one\n\n{{ d.missing }}",
    "{{ pairs[7].question }}",
    "{% if n %}\n{{ n / 0 }}{% endif %}",
    "{{ '\\ud800' }}",
    "{{ n.missing }}",
    "{{ x|safe }}",
    "{% include 'x' %}",
    "{{ x.__class__ }}",
    "{{ x.format(n) }}",
]


@pytest.mark.parametrize("source", SOURCES)
def test_a_trusted_template_gives_what_the_sandbox_gives(source: str) -> None:
    trusted, sandbox = Trusted(BOUNDS), Sandbox(BOUNDS)
    look = sandbox.look(source)
    assert trusted.look(source) == look
    if not look.flaws:
        assert trusted.render([(0, VALUES)]) == sandbox.render([(0, VALUES)])


def test_its_own_loops_are_not_counted() -> None:
    trusted = Trusted(BOUNDS)
    trusted.look("{% for a in range(n) %}{% for b in range(n) %}{{ '' }}{% endfor %}{% endfor %}done")
    assert trusted.render([(0, {"n": 200})]).texts == ("done",)
