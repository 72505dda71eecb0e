"""The files beside `qna.yaml`, for what upstream's schema has no room for: held-out questions and simulations."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from instructlab_like.records import HeldOut, Knowledge, Simulation, Skill, normalise
from instructlab_like.taxonomy.findings import Findings, Place
from instructlab_like.taxonomy.yaml_lines import Items, Mapping, Node, Scalar, plain


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
        return HeldOut.model_validate({**told, "line": node.line}, strict=True)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_context=False):
            _report(problem, node, field, findings)
        return None


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
