"""Small pipelines in the format of instructlab-sdg, written as its users lay them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
import yaml

from instructlab_like.flows import Flow, load_flow
from instructlab_like.records import Pair, Seed, plain
from instructlab_like.stages.generating.importing import Imported, import_flows

Values = dict[str, object]

SEED = plain(
    Seed(
        number=1,
        line=3,
        context="The ferry sails at nine.\nNot in fog.",
        pairs=tuple(Pair(question=f"Seed question {n}?", answer=f"Seed answer {n}.") for n in range(3)),
    )
)
KNOWN: Mapping[str, Mapping[str, object]] = {  # what a template of ours sees of a leaf
    "freeform": {"leaf": "skills/a/b", "task": "Write a note.", "examples": [SEED], "answers": [], "count": 3},
    "grounded": {"leaf": "skills/a/b", "task": "Read a notice.", "examples": [SEED], "answers": [], "count": 3},
    "knowledge": {
        "leaf": "knowledge/a/b",
        "domain": "ferries",
        "outline": "When ferries sail.",
        "headings": ["Ferries"],
        "passage": "A ferry sails\n\nin {{ any }} weather.",
        "example": SEED,
        "count": 3,
    },
}


def row(kind: str, **more: object) -> dict[str, object]:
    """The same leaf as a row there."""
    known = KNOWN[kind]
    if kind == "knowledge":
        asked = {f"icl_query_{n + 1}": f"Seed question {n}?" for n in range(3)}
        replied = {f"icl_response_{n + 1}": f"Seed answer {n}." for n in range(3)}
        shown = {"document": known["passage"], "document_outline": known["outline"], "domain": known["domain"]}
        return {**shown, "icl_document": SEED["context"], **asked, **replied, "leaf_node_type": "knowledge", **more}
    shown = {"task_description": known["task"], "seed_question": "Seed question 0?", "seed_response": "Seed answer 0."}
    context = {"seed_context": SEED["context"]} if kind == "grounded" else {}
    return {**shown, **context, "leaf_node_type": f"{kind}_skill", "leaf_node_path": "skills_a_b", **more}


def prompt(generation: str, *tags: str, **parts: str) -> Values:
    """A prompt's file: each tag's pair is shown in it."""
    shown = "\n".join(f"Write <{tag}> and </{tag}> around it." for tag in tags)
    told = {
        "system": "You are careful.",
        "introduction": "Do this:\n",
        "principles": f"Be brief.\n{shown}",
        "examples": None,
    }
    own = {"start_tags": [f"<{tag}>" for tag in tags], "end_tags": [f"</{tag}>" for tag in tags]} if tags else {}
    return {**told, "generation": generation, **own, **parts}


def rendered(values: Values, columns: Mapping[str, object]) -> str:
    """What instructlab-sdg would send: the parts on lines of their own, None as nothing, and Jinja over all of it."""
    parts = ("system", "introduction", "principles", "examples", "generation")
    text = "\n".join(str(values[part]) if values[part] is not None else "" for part in parts)
    return jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(text).render(**columns).strip()


def ask(name: str, path: str, columns: Sequence[str], kind: str = "LLMBlock", **more: object) -> Values:
    return {"name": name, "type": kind, "config": {"config_path": path, "output_cols": list(columns), **more}}


def block(name: str, kind: str, **config: object) -> Values:
    return {"name": name, "type": kind, "config": config}


QUESTIONS = prompt("Ask {{num_samples}} of {{task_description}}, as {{seed_question}}", "q")
ANSWERS = prompt("Answer {{question}} as {{seed_response}}", "a")
JUDGE = prompt("Judge {{question}} with {{response}}", "why", "score")
ASK, ANSWER = ask("ask", "q.yaml", ["question"], batch_kwargs={"num_samples": 4}), ask("answer", "a.yaml", ["response"])
JUDGED = ask("judge", "j.yaml", ["why", "score"])
PROMPTS: dict[str, Values] = {"q.yaml": QUESTIONS, "a.yaml": ANSWERS, "j.yaml": JUDGE}


def write(
    folder: Path, blocks: Sequence[Values], prompts: Mapping[str, Values] = PROMPTS, name: str = "mine.yaml"
) -> Path:
    """A pipeline and its prompts in one folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, values in {**PROMPTS, **prompts}.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    path = folder / name
    path.write_text(yaml.safe_dump({"version": "1.0", "blocks": [*blocks]}, sort_keys=False), encoding="utf-8")
    return path


def imported(path: Path, out: Path) -> tuple[Imported, dict[str, Flow]]:
    """What an import says, and the flows that it wrote."""
    import_flows(path, out)
    made = Imported.model_validate_json((out / "import.json").read_bytes())
    return made, {flow.name: load_flow(str(out / flow.file)) for flow in made.flows}


def said(made: Imported, outcome: str) -> dict[str, str]:
    """What is told with this outcome, by the block's name; of several, one after the other."""
    found: dict[str, str] = {}
    for one in made.blocks:
        if one.outcome == outcome:
            found[one.block] = "; ".join(filter(None, (found.get(one.block), one.what)))
    return found


def shown(flow: Flow, step: str, **fields: object) -> str:
    """The prompt of a step, for the leaf of `KNOWN`."""
    (message,) = flow.templates[step].render({**KNOWN[flow.plan.leaves[0]], **fields})
    return message.content
