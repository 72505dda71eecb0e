"""Known ways out of template sandboxes, each through a leaf's simulation.yaml and through a workspace's own template.

None may reach a file, the environment or Python's objects. What time and memory are left to them, see test_process.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from leaf_files import dumped, found_in, skill, write_leaf

from instructlab_like.errors import TemplateError
from instructlab_like.generation.simulation import draw
from instructlab_like.prompts import load_template
from instructlab_like.records import SimulationTask, Skill
from instructlab_like.taxonomy.read import read_tree

SECRET = "tide-tables-of-velmouth"
PATH = "compositional_skills/escape"
SEED = {"number": 1, "context": "The moon turns.", "pairs": [{"question": "What turns?", "answer": "The moon."}]}
VARIABLES: dict[str, object] = {
    "domain": "astronomy", "outline": "moons", "headings": ["ab", "cd"], "passage": "Io", "example": SEED, "count": 3,
}  # fmt: skip
HEADER = "---\npurpose: test\nyields: [answer]\n---\n=== user\n[ANSWER 1] [END 1]\n"
GIVEN_AWAY = re.compile(
    r"<(?:class|module|function|bound|built-in|method|frame|code|generator)\b| at 0x[0-9a-f]+|/usr/"
)
RUN = "__import__('os').popen('touch CANARY; echo $ILK_CANARY').read()"

# What reaches for Python, by attribute, item, filter or format; what imports; what changes its values.
ESCAPES = {
    "mro": "{{ ().__class__.__mro__[-1].__subclasses__() }}",
    "class of a text": "{{ ''.__class__.__base__.__subclasses__()[104].__init__.__globals__ }}",
    "class of a value": "{{ passage.__class__.__mro__ }}",
    "class of a number": "{{ count.__class__.__bases__ }}",
    "class by item": "{{ ''['__class__']['__mro__'] }}",
    "class by item of a list": "{{ headings['__class__'] }}",
    "class by escaped item": "{{ ''['\\x5f\\x5fclass\\x5f\\x5f'] }}",
    "class by unicode item": "{{ ''['\\u005f\\u005fclass\\u005f\\u005f'] }}",
    "class by joined item": "{{ ''['__cla' ~ 'ss__'] }}",
    "class by reversed item": "{{ ''['__ssalc__'[::-1]] }}",
    "class by list of characters": "{{ ''[['_', '_', 'class', '_', '_']|join] }}",
    "class by full-width letters": "{{ ''.__ｃlass__ }}",
    "attr": "{{ ''|attr('__class__') }}",
    "attr of a value": "{{ passage|attr('\\x5f\\x5fclass\\x5f\\x5f')|attr('__base__') }}",
    "map attribute": "{{ ['']|map(attribute='__class__')|list }}",
    "map attribute path": "{{ [{'a': ''}]|map(attribute='a.__class__')|list }}",
    "map attr": "{{ ['']|map('attr', '__class__')|list }}",
    "map format": "{{ ['{0.__class__}']|map('format', passage)|list }}",
    "map replace bomb": "{{ ['a' * 1000]|map('replace', 'a', 'a' * 1000)|list }}",
    "selectattr": "{{ ['']|selectattr('__class__')|list }}",
    "selectattr call": "{{ ['']|selectattr('__class__', 'eq', 1)|list }}",
    "rejectattr": "{{ ['']|rejectattr('__doc__')|list }}",
    "groupby": "{{ ['']|groupby('__class__') }}",
    "sort attribute": "{{ ['a', 'b']|sort(attribute='__class__') }}",
    "unique attribute": "{{ ['a', 'b']|unique(attribute='__class__')|list }}",
    "sum attribute": "{{ ['a', 'b']|sum(attribute='__class__') }}",
    "min attribute": "{{ ['a', 'b']|min(attribute='__class__') }}",
    "join attribute": "{{ ['a', 'b']|join(attribute='__class__') }}",
    "default of a class": "{{ ''.__class__|default('none') }}",
    "is of a class": "{{ 1 if ''.__class__ is defined else 2 }}",
    "format": "{{ '{0.__class__}'.format(passage) }}",
    "format map": "{{ '{a.__class__}'.format_map({'a': passage}) }}",
    "format in a variable": "{% set f = '{0.__class__.__init__.__globals__}'.format %}{{ f(passage) }}",
    "format filter": "{{ '%s'|format(passage) }}",
    "percent format": "{{ '%(a)s' % {'a': passage} }}",
    "percent width": "{{ '%999999999d' % count }}",
    "translate": "{{ passage.translate({73: 'x'}) }}",
    "encode": "{{ passage.encode().decode() }}",
    "self globals": "{{ self.__init__.__globals__ }}",
    "self context": "{{ self._TemplateReference__context }}",
    "cycler": "{{ cycler.__init__.__globals__.os.popen('touch CANARY').read() }}",
    "cycler made": "{{ cycler(1, 2).next() }}",
    "joiner": "{{ joiner.__init__.__globals__.os.environ }}",
    "lipsum": "{{ lipsum.__globals__['os'].popen('touch CANARY').read() }}",
    "lipsum bomb": "{{ lipsum(n=10 ** 6) }}",
    "namespace": "{{ namespace.__init__.__globals__ }}",
    "namespace by item": "{{ namespace['__init__'] }}",
    "namespace made": "{{ namespace(a=1)['__init__'] }}",
    "namespace set": "{% set ns = namespace() %}{% set ns.__class__ = 1 %}{{ ns }}",
    "namespace setattr": "{% set ns = namespace() %}{{ ns.__setattr__('a', 1) }}",
    "namespace from pairs": "{% set ns = namespace({'__class__': 1}) %}{{ ns.__class__ }}",
    "dict": "{{ dict.__init__.__globals__ }}",
    "dict mro": "{{ dict['mro']() }}",
    "dict mro called": "{{ dict.mro() }}",
    "dict fromkeys": "{{ dict.fromkeys(range(9)) }}",
    "range": "{{ range.__class__ }}",
    "range by item": "{{ range['__self__'] }}",
    "loop": "{% for x in headings %}{{ loop.__class__ }}{% endfor %}",
    "loop iterator": "{% for x in headings %}{{ loop._iterator }}{% endfor %}",
    "loop cycle": "{% for x in headings %}{{ loop.cycle.__func__ }}{% endfor %}",
    "loop itself": "{% for x in headings %}{{ loop }}{% endfor %}",
    "loop recursion": "{% for x in headings recursive %}{{ loop(headings) }}{% endfor %}",
    "caller": "{{ caller() }}",
    "caller globals": "{{ caller.__globals__ }}",
    "varargs": "{{ varargs }}{{ kwargs }}",
    "request": "{{ request.application.__globals__ }}",
    "config": "{{ config.items() }}",
    "import": "{{ " + RUN + " }}",
    "builtins": "{{ __builtins__ }}{{ open('/etc/passwd').read() }}",
    "generator frame": "{{ (headings|map('upper')).gi_frame.f_globals }}",
    "generator code": "{{ (headings|map('upper'))['gi_code'] }}",
    "coroutine frame": "{{ passage.cr_frame }}",
    "traceback frame": "{{ passage.tb_frame.f_back.f_globals }}",
    "function code": "{{ passage.upper.__code__ }}",
    "function owner": "{{ passage.upper.__self__.__class__ }}",
    "function itself": "{{ passage.upper }}",
    "undefined": "{{ nothing.__class__ }}",
    "undefined by item": "{{ nothing['__init__']['__globals__'] }}",
    "xmlattr": "{{ {'a onload=x': 1}|xmlattr }}",
    "tojson": "{{ dict|tojson }}",
    "pprint": "{{ namespace|pprint }}",
    "safe": "{{ passage|safe }}{{ passage.__html__ }}",
    "include": "{% include '/etc/passwd' %}",
    "include of the canary": "{% include 'CANARY' ignore missing %}",
    "import statement": "{% import 'os' as os %}{{ os.getpid() }}",
    "from import": "{% from 'os' import getpid %}{{ getpid() }}",
    "extends": "{% extends '../../../etc/passwd' %}",
    "macro": "{% macro m() %}{{ caller.__class__ }}{% endmacro %}{{ m.__globals__ }}",
    "macro recursion": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "call block": "{% call dict() %}{% endcall %}",
    "do": "{% do headings.append('x') %}",
    "append": "{{ headings.append('x') }}{{ headings }}",
    "update": "{% set d = {} %}{{ d.update(a=1) }}{{ d }}",
    "pop": "{% set d = {'a': 1} %}{{ d.pop('a') }}",
    "clear": "{{ headings.clear() }}",
    "trans": "{% trans %}x{% endtrans %}",
    "debug": "{% debug %}",
    "autoescape": "{% autoescape true %}{{ passage.__html__ }}{% endautoescape %}",
    "set of a function": "{% set range = dict %}{{ range(a=1) }}",
    "assignment to an attribute": "{% set passage.x = 1 %}",
    "test by name": "{{ ['']|select('__class__')|list }}",
    "call by a variable": "{% set f = passage.upper %}{{ f() }}",
    "method as a text": "{{ passage.upper|trim }}",
    "method by item as a text": "{{ passage['\\x75pper']|lower }}",
    "method as a list": "{{ headings.append|join }}",
    "method joined": "{{ [passage.format]|join }}",
    "method joined by attribute": "{{ [passage]|join(attribute='upper') }}",
    "method as part of a text": "{{ passage.upper ~ '' }}",
    "method in a list as a text": "{{ [[passage.upper]]|string }}",
    "method as a replacement": "{{ passage|replace('Io', passage.upper) }}",
    "method as an option": "{{ passage|truncate(1, true, end=passage.upper) }}",
    "generator as a text": "{{ headings|map('upper')|string }}",
    "generator as part of a text": "{{ (headings|map('upper')) ~ '' }}",
    "generators joined": "{{ [headings|map('upper')]|join }}",
    "method by default": "{{ nothing|default(passage.upper, true) }}",
    "method of a mapping": "{{ example.items|upper|trim }}",
    "method of a number": "{{ count.bit_length|upper }}",
    "method looped over": "{% for x in passage.upper %}{{ x }}{% endfor %}",
    "function as a text": "{{ range|upper }}",
    "class as a text": "{{ dict|trim }}",
    "namespace as a text": "{{ namespace|lower }}",
    "loop as a text": "{% for x in headings %}{{ loop|upper }}{% endfor %}",
    "method of the loop": "{% for x in headings %}{{ loop.cycle|trim }}{% endfor %}",
    "own name by item": "{% for x in headings %}{{ x['__doc__']|trim }}{% endfor %}",
    "own name in a condition": "{% if passage['__class__'] %}{{ passage['__class__']|trim }}{% endif %}",
    "own name in a comparison": "{{ passage.__class__ == 'str' }}",
    "half a character": "{{ '\\ud83d' }}",
    "loop variable with a function's name": "{% for range in headings %}{{ range }}{% endfor %}",
    "loop variable with the loop's name": "{% for loop in headings %}{{ loop }}{% endfor %}",
    "code in a name": "{{ x\n__import__('os') }}",
}
# What grows or goes on without end.
BOMBS = {
    "power": "{{ 9 ** (9 ** 9) }}",
    "power tower": "{{ count ** (count ** (count ** (count ** count))) }}",
    "text": "{{ 'a' * 10 ** 9 }}",
    "list": "{{ [0] * 10 ** 9 }}",
    "range": "{{ range(10 ** 9)|list|length }}",
    "huge range": "{{ range(10 ** 30)|sum }}",
    "nested loops": "{% for a in range(999) %}{% for b in range(999) %}{{ passage }}{% endfor %}{% endfor %}",
    "silent loops": "{% for a in range(999) %}{% for b in range(999) %}{% set c = a %}{% endfor %}{% endfor %}",
    "three loops": "{% for a in 'ab' %}{% for b in 'ab' %}{% for c in 'ab' %}{% endfor %}{% endfor %}{% endfor %}",
    "center": "{{ passage|center(10 ** 9) }}",
    "center method": "{{ passage.center(10 ** 9) }}",
    "ljust": "{{ passage.ljust(10 ** 9) }}{{ passage.zfill(10 ** 9) }}",
    "expandtabs": "{{ '\\t'.expandtabs(10 ** 9) }}",
    "indent": "{{ passage|indent(10 ** 9, true) }}",
    "wordwrap": "{{ passage|wordwrap(1, wrapstring='x' * 10 ** 9) }}",
    "round": "{{ 1|round(10 ** 8, 'floor') }}",
    "replace": "{{ ('a' * 1500)|replace('a', 'a' * 1500)|replace('a', 'a' * 1500)|length }}",
    "doubling": "{% set a = 'xx' %}" + "{% set a = a ~ a %}" * 50 + "{{ a|length }}",
    "doubling in a loop": "{% set s = namespace(a='xx') %}{% for i in range(99) %}{% set s.a = s.a * 2 %}{% endfor %}",
    "doubling in a list": "{% set a = [1] %}" + "{% set a = [a, a] %}" * 50 + "{{ a|length }}",
    "batch": "{{ headings|batch(10 ** 9, 'x')|list }}",
    "slice": "{{ headings|slice(10 ** 9)|list }}",
    "random": "{{ range(9)|random }}",
    "huge literal": "{{ " + "9" * 5_000 + " }}",
    "huge number as text": "{{ (2 ** 4000 * 2 ** 4000 * 2 ** 4000 * 2 ** 4000)|string }}",
    "deep parentheses": "{{ " + "(" * 900 + "1" + ")" * 900 + " }}",
    "deep lists": "{{ " + "[" * 900 + "]" * 900 + " }}",
    "deep not": "{{ " + "not " * 900 + "1 }}",
    "long chain": "{{ passage" + "|upper" * 500 + " }}",
    "long sum": "{{ " + "+".join(["1"] * 900) + " }}",
    "deep ifs": "{% if 1 %}" * 60 + "{% endif %}" * 60,
    "many nodes": "{{1}}" * 650,
    "huge hexadecimal": "{{ 0x" + "f" * 50_000 + " }}",
    "huge hexadecimal in a condition": "{% if count == 0x" + "f" * 50_000 + " %}{% endif %}",
    "joined joins": "{{ passage|upper|join('" + "ab" * 99 + "')|join('" + "ab" * 99 + "')|join('" + "ab" * 99 + "') }}",
    "turns of nothing": "{% for a in range(999) %}{% for b in range(999) %}{% if a %}{% endif %}" + "{% endfor %}" * 2,
    "deep conditions": "{% for a in headings %}" + "{% if a %}" * 12 + "{% endif %}" * 12 + "{% endfor %}",
    "many branches": "{% if a %}" + "{% elif a %}" * 400 + "{% endif %}",
    "long path": "{{ passage" + ".a" * 90 + " }}",
    "long conditions": "{% if " + " and ".join(["passage"] * 90) + " %}{% endif %}",
    "deep parentheses around a name": "{{ " + "(" * 500 + "passage" + ")" * 500 + " }}",
    "generator tower": "{% set s = namespace(a=headings) %}{% for i in range(999) %}{% set s.a = s.a|map('upper') %}"
    "{% endfor %}{{ s.a|list }}",
}
# What is allowed, and gives this text.
HARMLESS = {
    "secret by name": ("{{ 'ILK_' ~ 'CANARY' }}", "ILK_CANARY"),
    "python as text": ("{{ \"__import__('os').getpid()\" }}", "__import__('os').getpid()"),
    "template in a text": ("{{ '{{ passage }}' }}", "{{ passage }}"),
    "raw": ("{% raw %}{{ ().__class__ }}{% endraw %}", "{{ ().__class__ }}"),
    "line statement": ("# for x in headings\n{{ 1 }}", "# for x in headings\n1"),
    "comment": ("{# {{ ().__class__ }} #}none", "none"),
    "underscores": ("{{ '__class__' }}", "__class__"),
    "key": ("{{ {'__class__': 1}['__class__'] }}", "1"),
    "unused variable": ("{% for _ in range(2) %}x{% endfor %}", "xx"),
}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ILK_CANARY", SECRET)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.txt").write_text(SECRET)
    (tmp_path / "templates").mkdir()
    return tmp_path


def in_a_simulation(workspace: Path, source: str) -> str:
    """What comes of a leaf whose answer is this template: findings of the check, else what generating makes of it."""
    simulation = {
        "parameters": {
            "passage": {"kind": "choice", "of": ["Io", "Europa", "Callisto"]},
            "headings": {"kind": "sample", "of": ["ab", "cd", "ef"], "count": 2},
            "count": {"kind": "integer", "low": 3, "high": 9},
        },
        "questions": ["{{ passage }}, {{ headings|join }}, {{ count }}?"],
        "answer": source,
    }
    folder = write_leaf(workspace / "taxonomy", PATH, skill(), simulation=dumped(simulation))
    findings = found_in(folder)
    assert all(Path(finding.path).name == "simulation.yaml" and finding.fix for finding in findings), findings
    if findings:
        return "refused: " + "; ".join(finding.message for finding in findings)
    (leaf,), _ = read_tree(workspace / "taxonomy", ())
    assert isinstance(leaf, Skill)
    assert leaf.simulation
    task = SimulationTask(leaf=leaf.path, leaf_blob=leaf.blob, simulation=leaf.simulation, count=20, seed=0)
    return "\n".join({sample.answer for sample in draw(task)})


def in_a_template(workspace: Path, source: str) -> str:
    """What comes of a workspace's prompt template that ends with this."""
    (workspace / "templates" / "mine.j2").write_text(HEADER + source, encoding="utf-8")
    try:
        return load_template("mine.j2").render(VARIABLES)[0].content.removeprefix("[ANSWER 1] [END 1]").strip()
    except TemplateError as error:
        found = error
    assert found.where.startswith("templates/mine.j2")
    assert found.fix
    return f"refused: {found.what}"


def assert_nothing_is_given_away(workspace: Path, said: str) -> None:
    assert SECRET not in said
    assert "root:" not in said
    assert not GIVEN_AWAY.search(said)
    assert len(said) < 2_000
    assert {path.name for path in workspace.iterdir()} <= {"secret.txt", "templates", "taxonomy"}


def test_there_are_enough_escapes() -> None:
    assert len({*ESCAPES.values(), *BOMBS.values()}) >= 100


@pytest.mark.parametrize("place", [in_a_simulation, in_a_template])
@pytest.mark.parametrize("source", [pytest.param(source, id=name) for name, source in (ESCAPES | BOMBS).items()])
def test_no_escape_succeeds(workspace: Path, source: str, place) -> None:
    said = place(workspace, source.replace("CANARY", str(workspace / "canary")))
    assert said.startswith("refused: ")
    assert_nothing_is_given_away(workspace, said)


@pytest.mark.parametrize("place", [in_a_simulation, in_a_template])
@pytest.mark.parametrize(("source", "text"), [pytest.param(*both, id=name) for name, both in HARMLESS.items()])
def test_what_only_looks_like_an_escape_is_text(workspace: Path, source: str, text: str, place) -> None:
    said = place(workspace, source)
    assert said == text
    assert_nothing_is_given_away(workspace, said)
