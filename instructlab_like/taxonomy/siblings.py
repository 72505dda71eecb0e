"""The files beside `qna.yaml`, for what upstream's schema has no room for: held-out questions and simulations."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from instructlab_like.records import HeldOut, Knowledge, Metric, Simulation, Skill, normalise
from instructlab_like.taxonomy.findings import Findings, Place
from instructlab_like.taxonomy.yaml_lines import Items, Mapping, Node, Scalar, plain

LEAST_OPTIONS, MOST_OPTIONS = 2, len(string.ascii_uppercase)  # each is shown with a letter
# Keys of a held-out question that only some metrics look at.
LOOKED_AT: dict[str, tuple[Metric, ...]] = {
    "accept": ("exact", "f1", "contains", "number", "judge"),
    "options": ("choice",),
    "rubric": ("judge",),
}


def held_out(root: Node | None, findings: Findings) -> tuple[HeldOut, ...]:
    """The questions of `heldout.yaml`: a list under the key `questions`."""
    questions = _questions(root, findings)
    if questions is None:
        return ()
    if not questions.items:
        fix = "add questions, or delete the file"
        findings.warning(questions, "none-held-out", "no question is held out yet", fix=fix, field="questions")
    found = []
    for number, node in enumerate(questions.items, start=1):
        question = _question(node, f"questions[{number}]", findings)
        if question is not None:
            found.append(question)
    return tuple(found)


def simulation(root: Node | None, findings: Findings) -> Simulation | None:
    """The simulation of `simulation.yaml`; whether its templates render is the generator's to say."""
    if not isinstance(root, Mapping):
        fix = "write `parameters:`, `questions:` and `answer:`"
        findings.error(root, "wrong-type", "this file must hold a mapping", fix=fix)
        return None
    _filled(root, (), findings)
    try:
        found = Simulation.model_validate(_stripped(root), strict=True)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_context=False):
            _report(problem, root, "", findings)
        return None
    return found


def leaked(leaf: Knowledge | Skill, questions: Sequence[HeldOut], root: Node, findings: Findings) -> None:
    """A held-out question that is a seed example as well would be shown to the teacher; `root` is of heldout.yaml."""
    listed = root.get("questions") if isinstance(root, Mapping) else None
    nodes = {node.line: node for node in listed.items} if isinstance(listed, Items) else {}
    grounded = leaf.kind == "skill"
    seeds = {
        (normalise(pair.question), normalise(seed.context or "") if grounded else ""): seed.number
        for seed in leaf.seeds
        for pair in seed.pairs
    }
    for number, held in enumerate(questions, start=1):
        key = (normalise(held.question), normalise(held.context or "") if grounded else "")
        if key in seeds:
            message = f"this question is also seed example {seeds[key]}, which is shown to the teacher"
            at = nodes.get(held.line)
            findings.error(at, "held-out-in-seeds", message, fix="ask it otherwise", field=f"questions[{number}]")


def _questions(root: Node | None, findings: Findings) -> Items | None:
    fix = "write `questions:` and below it `- question: …` with its `answer: …`"
    if not isinstance(root, Mapping) or root.entry("questions") is None:
        findings.error(root, "missing-key", "the key 'questions' is missing", fix=fix)
        return None
    for entry in root.entries:
        if entry.key != "questions":
            findings.error(entry, "unknown-key", f"the key {entry.key!r} is not known here", fix="remove it")
    node = root.get("questions")
    if not isinstance(node, Items):
        findings.error(node, "wrong-type", "this must be a list of questions", fix=fix, field="questions")
        return None
    return node


def _question(node: Node, field: str, findings: Findings) -> HeldOut | None:
    if not isinstance(node, Mapping):
        fix = "write `question:` and `answer:` below one '- '"
        findings.error(node, "wrong-type", "this must be a mapping of key: value", fix=fix, field=field)
        return None
    if line := node.entry("line"):  # a field of the record, but not of the file
        findings.error(line, "unknown-key", "the key 'line' is not known here", fix="remove it", field=field)
        return None
    _filled(node, (field,), findings)
    told = _stripped(node)
    assert isinstance(told, dict)
    try:
        found = HeldOut.model_validate({**told, "line": node.line}, strict=True)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_context=False):
            _report(problem, node, field, findings)
        return None
    _unused(found, node, field, findings)
    if found.metric == "choice":
        _offered(found, node, field, findings)
    if found.metric == "number":
        _numbers(found, node, field, findings)
    return found


def _unused(held: HeldOut, node: Mapping, field: str, findings: Findings) -> None:
    """Keys that the question's metric never looks at."""
    for key, metrics in LOOKED_AT.items():
        entry = node.entry(key)
        if entry is None or held.metric in metrics or not getattr(held, key):
            continue
        message = f"the metric {held.metric!r} does not look at `{key}`"
        others = "" if key == "accept" else f", or write `metric: {metrics[0]}`"
        findings.error(entry, "unused-key", message, fix=f"remove it{others}", field=f"{field}.{key}")


def _offered(held: HeldOut, node: Mapping, field: str, findings: Findings) -> None:
    """What is wrong with the options of a choice."""
    entry = node.entry("options")
    place: Place = entry.value if entry else node
    count = len(held.options)
    if not LEAST_OPTIONS <= count <= MOST_OPTIONS:
        message = f"a choice needs {LEAST_OPTIONS} to {MOST_OPTIONS} options, and there are {count or 'none'}"
        fix = "list what can be chosen under `options:`, the right answer among it"
        findings.error(place, "wrong-options", message, fix=fix, field=f"{field}.options")
    nodes = entry.value.items if entry and isinstance(entry.value, Items) else ()
    first: dict[str, int] = {}
    for number, (option, at) in enumerate(zip(held.options, nodes, strict=True), start=1):
        same = first.setdefault(normalise(option) or option, number)
        if same != number:
            message = f"this option says the same as option {same}"
            where = f"{field}.options[{number}]"
            findings.error(at, "same-option", message, fix="write another one, or remove it", field=where)
    if held.options and held.answer not in held.options:
        alike = next((option for option in held.options if normalise(option) == normalise(held.answer)), None)
        fix = "write it as it stands there" if alike is None else f"write {alike!r}, as it stands there"
        message = f"the answer {held.answer!r} is none of the options"
        findings.error(node.get("answer"), "answer-not-offered", message, fix=fix, field=f"{field}.answer")


def _numbers(held: HeldOut, node: Mapping, field: str, findings: Findings) -> None:
    """Answers that hold no number though numbers are what is compared."""
    accepted = node.get("accept")
    nodes = accepted.items if isinstance(accepted, Items) else ()
    told = [("answer", held.answer, node.get("answer"))]
    told += [(f"accept[{n}]", text, at) for n, (text, at) in enumerate(zip(held.accept, nodes, strict=True), start=1)]
    for name, text, at in told:
        if not re.search(r"\d", text):
            fix = "write the number in digits, or take another metric"
            findings.error(at, "no-number", f"there is no number in {text!r}", fix=fix, field=f"{field}.{name}")


def _report(problem: ErrorDetails, node: Node, field: str, findings: Findings) -> None:
    """Say what pydantic found at the place in the file that it is about."""
    code, message, fix = "wrong-value", problem["msg"], "correct the value; numbers given as text need quotes"
    if problem["type"] == "missing":
        code, message, fix = "missing-key", f"the key {problem['loc'][-1]!r} is missing", f"add `{problem['loc'][-1]}:`"
    elif problem["type"] == "extra_forbidden":
        code, message, fix = "unknown-key", f"the key {problem['loc'][-1]!r} is not known here", "remove or correct it"
    at: Node = node
    place: Place = node
    steps = [field] if field else []
    for step in problem["loc"]:
        # Steps that name no key are the tags by which pydantic tells the members of a union apart.
        if isinstance(at, Mapping) and (entry := at.entry(step)):
            at = entry.value
            place = entry if code == "unknown-key" else at
            steps.append(str(step))
        elif isinstance(at, Items) and isinstance(step, int) and step < len(at.items):
            place = at = at.items[step]
            steps.append(f"[{step + 1}]")
    findings.error(place, code, message, fix=fix, field=".".join(steps).replace(".[", "["))


def _filled(node: Node, steps: tuple[str, ...], findings: Findings) -> None:
    """No text of these files may be empty."""
    match node:
        case Scalar(value=str() as text) if not text.strip():
            field = ".".join(steps).replace(".[", "[")
            findings.error(node, "empty", "this text is empty", fix="fill it in, or remove the key", field=field)
        case Items():
            for number, item in enumerate(node.items, start=1):
                _filled(item, (*steps, f"[{number}]"), findings)
        case Mapping():
            for entry in node.entries:
                _filled(entry.value, (*steps, str(entry.key)), findings)
        case _:
            pass


def _stripped(node: Node) -> object:
    """The plain value, its texts without the whitespace around them (YAML's blocks end in a line break)."""
    match node:
        case Scalar(value=str() as text):
            return text.strip()
        case Items():
            return tuple(_stripped(item) for item in node.items)
        case Mapping():
            return {entry.key: _stripped(entry.value) for entry in node.entries}
        case _:
            return plain(node)
