"""Planted code that does not parse or fails the tests beside it, and code that looks broken and is not."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from benchmarks.planted import Case, Floors
from instructlab_like.records import Lineage, Sample, digest

FLOORS = Floors(recall=0.98, precision=0.99, options={"run": True})

FUNCTIONS = [  # a name, a right body, a wrong one, and what it gives for some arguments
    (
        "clamp",
        "(n, low, high):\n    return max(low, min(n, high))",
        "(n, low, high):\n    return min(low, max(n, high))",
        [("5, 0, 3", "3"), ("-2, 0, 3", "0"), ("2, 0, 3", "2")],
    ),
    (
        "initials",
        "(name):\n    return ''.join(part[0] for part in name.split()).upper()",
        "(name):\n    return ''.join(part[0] for part in name)",
        [("'ada lovelace'", "'AL'"), ("'grace b hopper'", "'GBH'")],
    ),
    (
        "is_leap",
        "(year):\n    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)",
        "(year):\n    return year % 4 == 0",
        [("1900", "False"), ("2000", "True"), ("2023", "False")],
    ),
    (
        "flatten",
        "(rows):\n    return [cell for row in rows for cell in row]",
        "(rows):\n    return [row[0] for row in rows]",
        [("[[1, 2], [3]]", "[1, 2, 3]"), ("[]", "[]")],
    ),
    (
        "digit_sum",
        "(n):\n    return sum(map(int, str(n)))",
        "(n):\n    return sum(map(int, str(n)[1:]))",
        [("305", "8"), ("77", "14")],
    ),
    (
        "running",
        "(values):\n    total, found = 0, []\n    for value in values:\n        total += value\n"
        "        found.append(total)\n    return found",
        "(values):\n    total, found = 0, []\n    for value in values:\n        found.append(total)\n"
        "        total += value\n    return found",
        [("[1, 2, 3]", "[1, 3, 6]")],
    ),
]
BREAKS: list[Callable[[str], str]] = [
    lambda code: code.replace("):", ")", 1),
    lambda code: (
        code.replace("    return", "  return", 1) if "total" in code else code.replace("return ", "return (", 1)
    ),
    lambda code: code + "\n    else:\n        pass",
    lambda code: code.replace("def ", "function ", 1),
    lambda code: code[: code.rindex(")")] if code.endswith(")") else code + "\nprint 'done'",
]
JSON_RIGHT = [
    '{"name": "Oslo", "rank": 3}',
    '[1, 2, {"a": null}]',
    '{"a": 1}\n{"a": 2}',
    '{"text": "a \\"quoted\\" word"}',
]
JSON_WRONG = ["{'name': 'Oslo'}", '{"a": 1,}', '{"a": 1 "b": 2}', "[1, 2", '{"a": None}', '{"a": 1} // the first']
YAML_RIGHT = [
    "name: Oslo\nranks:\n  - 1\n  - 2",
    "a: {{ value }}",
    "- one\n- two: [1, 2]",
    "text: |\n  free: text [here",
]
YAML_WRONG = ["name: [1, 2", "a: b: c: d", "list:\n  - one\n - two", 'key: "open', "a:\n\t- tab"]
ODD = [  # looks broken, and is not, or is not to be judged
    "```python\n>>> clamp(1, 2, 3)\n2\n```",
    "```python\n%pip install numpy\nimport os\n```",
    "```\ndef not labelled(:\n```",
    "```javascript\nfunction f() { return 1 }\n```",
    "```python\nawait session.close()\nreturn 3\n```",
    "```python\npattern = '\\d+'\n```",
    "   ```python\n   for x in y:\n       pass\n   ```",
    "```python\nimport numpy as np\nassert np.zeros(3).sum() == 0\n```",
    "```python\nname = input()\nassert name\n```",
    "~~~python\nx = {'```': 1}\n~~~",
    "```python\nimport time\ntime.sleep(3600)\nassert True\n```",
]


def fenced(code: str, language: str = "python") -> str:
    return f"Here it is:\n\n```{language}\n{code}\n```\n"


def sample(question: str, answer: str) -> Sample:
    return Sample(
        id=digest([question, answer])[:32],
        kind="freeform",
        question=question,
        answer=answer,
        lineage=Lineage(leaf="", leaf_blob="", method="given", model=""),
    )


def tested(rng: random.Random, *, bad: bool) -> Case:
    name, right, wrong, examples = rng.choice(FUNCTIONS)
    code = f"def {name}{wrong if bad else right}"
    number = rng.randrange(10**9)
    asserts = "\n".join(f"assert {name}({given}) == {gives}" for given, gives in examples)
    prompts = "\n".join(f">>> {name}({given})\n{gives}" for given, gives in examples)
    question = f"Write {name}, task {number}."
    match rng.randrange(4):
        case 0:
            made = sample(question, fenced(f"{code}\n\n\n{asserts}"))
            kind = "asserts beside it"
        case 1:
            made = sample(f"{question} Your code should pass:\n{asserts}", fenced(code))
            kind = "asserts in the question"
        case 2:
            made = sample(f"{question}\n\n{prompts}\n", fenced(code))
            kind = "session in the question"
        case _:
            indented = asserts.replace("assert", "    assert")
            made = sample(question, fenced(code) + "And its test:\n" + fenced(f"def test_{name}():\n{indented}"))
            kind = "test function"
    return Case(f"fails: {kind}" if bad else f"passes: {kind}", (made,), bad=bad)


def parsed(rng: random.Random, *, bad: bool) -> Case:
    question = f"Write it, task {rng.randrange(10**9)}."
    language = rng.choice(["Python", "JSON", "YAML"])
    if language == "Python":
        name, right, _, _ = rng.choice(FUNCTIONS)
        code = f"def {name}{right}"
        code = rng.choice(BREAKS)(code) if bad else code
    else:
        right_ones, wrong_ones = (JSON_RIGHT, JSON_WRONG) if language == "JSON" else (YAML_RIGHT, YAML_WRONG)
        code = rng.choice(wrong_ones if bad else right_ones)
    kind = f"{language} that does not parse" if bad else f"{language} that parses"
    return Case(kind, (sample(question, fenced(code, language.lower())),), bad=bad)


def cases(rng: random.Random, count: int) -> Iterator[Case]:
    for place in range(count):
        bad = place % 2 == 0
        turn = place // 2 % 10
        if turn == 0:
            yield tested(rng, bad=bad)
        elif turn < 3 and not bad:
            question = f"How is it written, task {rng.randrange(10**9)}?"
            yield Case("odd, but no fault", (sample(question, rng.choice(ODD)),), bad=False)
        else:
            yield parsed(rng, bad=bad)
