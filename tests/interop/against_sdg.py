"""Imported flows beside instructlab-sdg itself: prompts to the byte, and what each reads in whole and damaged answers.

    pip install instructlab-sdg==0.8.3        # or --no-deps --target SITE, with openai, httpx and xdg-base-dirs
    PYTHONPATH=SITE python tests/interop/against_sdg.py --taxonomy DIR

Its blocks are taken as they are; its package's first lines, which load torch and document readers, are passed over.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import random
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import yaml

from instructlab_like.console import aside
from instructlab_like.flows import Flow, kind_of, load_flow
from instructlab_like.generation.parse import read
from instructlab_like.generation.plan import about
from instructlab_like.prompts import Template
from instructlab_like.records import Chunk, Knowledge, Seed, Skill
from instructlab_like.stages.generating.importing import import_flows
from instructlab_like.taxonomy.read import read_tree

FORM = "\n\nUse this form and write nothing else:"
KINDS = {"knowledge": "knowledge", "freeform_skills": "freeform", "grounded_skills": "grounded"}
ANSWERS = 300  # of each prompt's form
MADE = {  # columns that blocks make, with what templates and terminals may stumble over
    "question": "What is {{ it }}?\n[Start of Question]",
    "response": "It is  42.\n\n% <b>",
    "context": "A text.\nOf two lines.",
    "spellcheck": "A corrected text.",
    "summary_detailed": "One.",
    "summary_extractive": "Two.",
    "summary_atomic_facts": "1. Three.",
}
CONTEXT = SimpleNamespace(
    model_id="m",
    model_family=None,
    max_num_tokens=4096,
    num_instructions_to_generate=30,
    client=SimpleNamespace(server_supports_batched=True),
)


def package() -> Path:
    found = importlib.util.find_spec("instructlab")
    places = [Path(place) / "sdg" for place in (found.submodule_search_locations or ())] if found else []
    return next(place for place in places if (place / "pipelines").is_dir())


def blocks_of(sdg: Path) -> ModuleType:
    """The module of its blocks that ask."""
    for name, place in (("instructlab", sdg.parent), ("instructlab.sdg", sdg)):
        sys.modules[name] = ModuleType(name)
        sys.modules[name].__path__ = [str(place)]
    return importlib.import_module("instructlab.sdg.blocks.llmblock")


def row(leaf: Knowledge | Skill, seed: Seed, passage: str) -> dict[str, object]:
    """A leaf's row there."""
    if not isinstance(leaf, Knowledge):
        pair = seed.pairs[0]
        shown = {"task_description": leaf.task, "seed_question": pair.question, "seed_response": pair.answer}
        return shown | ({"seed_context": seed.context} if seed.context else {})
    told = {"document": passage, "icl_document": seed.context, "document_outline": leaf.outline, "domain": leaf.domain}
    for number, pair in enumerate(seed.pairs, start=1):
        told |= {f"icl_query_{number}": pair.question, f"icl_response_{number}": pair.answer}
    return told


def asking(pipeline: Path, flow: Flow, blocks: ModuleType) -> Iterator[tuple[object, dict, Template, bool]]:
    """Each block that the flow asks, as it is there and here, and whether columns were melted before it."""
    melted = False
    for block in yaml.safe_load(pipeline.read_text())["blocks"]:
        melted = melted or block["type"] == "FlattenColumnsBlock"
        template = flow.templates.get(re.sub(r"[^a-z0-9_-]+", "-", block["name"].lower()))
        if block["type"] == "LLMBlock" and template:
            options = {**block["config"], "model_prompt": ""}
            made = blocks.LLMBlock(CONTEXT, SimpleNamespace(config_path=str(pipeline)), block["name"], **options)
            yield made, block, template, melted


def prompts(pipeline: Path, flow: Flow, blocks: ModuleType, leaves: list) -> Iterator[tuple[str, str]]:
    """Every prompt, there and here."""
    branch = flow.name[len(pipeline.stem) + 1 :]
    for leaf in leaves:
        for seed in leaf.seeds if kind_of(leaf) == KINDS[pipeline.stem] else ():
            passage = f"# Heading\n\n{leaf.seeds[-1].context}\n\n{{{{ 7*7 }}}}"
            chunk = Chunk(repo=".", commit="HEAD", document="d", blob="0" * 40, start=0, end=1, text=passage)
            found = about(leaf, chunk=chunk if isinstance(leaf, Knowledge) else None, seeds=(seed,))
            for made, block, template, melted in asking(pipeline, flow, blocks):
                several = (block["config"].get("batch_kwargs") or {}).get("num_samples", 1) or 1
                shown = row(leaf, seed, passage) | MADE | {"num_samples": several}
                if melted:
                    shown["document"] = {**MADE, "base_document": passage}[branch]
                known = {**found.variables, **MADE, "answer": MADE["response"], "count": several}
                (message,) = template.render(known)
                yield made._format_prompt(shown), message.content.partition(FORM)[0]


class Reading:
    """Counts of what both read."""

    def __init__(self) -> None:
        self.whole = self.same = self.damaged = 0
        self.wrong, self.right = [0, 0], [0, 0]  # there, here

    def answer(self, block: object, template: Template, draw: random.Random) -> None:
        assert template.tags
        count = draw.randint(1, 4) if template.tags[0][0] else 1
        truth = [tuple(text(draw) for _ in template.yields) for _ in range(count)]
        pieces = [piece for group in truth for one in zip(group, template.tags, strict=True) for piece in tagged(*one)]
        there, here = both("\n".join(pieces), block, template)
        self.whole += 1
        self.same += there == here == truth
        tags = [place for place, piece in enumerate(pieces) if any(piece in marks for marks in template.tags)]
        if count > 1:
            del pieces[draw.choice(tags)]
            self.damaged += 1
            for number, found in enumerate(both("\n".join(pieces), block, template)):
                self.wrong[number] += any(group not in truth for group in found)
                self.right[number] += sum(group in truth for group in found)


def both(answer: str, block: object, template: Template) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    there = [tuple(value.strip() for value in group) for group in zip(*block._parse(answer).values(), strict=False)]
    return there, [tuple(group.texts.values()) for group in read(answer, template.yields, None, template.tags).groups]


def tagged(text: str, marks: tuple[str, ...]) -> list[str]:
    return [piece for piece in (marks[0], text, marks[1]) if piece]


def text(draw: random.Random) -> str:
    words = ["a", "lantern", "1", "2.", "so:", "(x)", "*y*", "copper"]
    return draw.choice([" ", "\n"]).join(draw.choices(words, k=draw.randint(1, 12))) + str(draw.random())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--taxonomy", type=Path, required=True)
    told = parser.parse_args()
    leaves, _ = read_tree(told.taxonomy)
    sdg = package()
    blocks, reading, draw = blocks_of(sdg), Reading(), random.Random(0)
    for name in ("full", "simple", "llama"):
        with tempfile.TemporaryDirectory() as scratch:
            with aside():
                import_flows(sdg / "pipelines" / name, Path(scratch))
            compared = same = 0
            for path in sorted(Path(scratch).glob("*.yaml")):
                flow = load_flow(str(path))
                pipeline = (
                    sdg / "pipelines" / name / f"{next(kind for kind in KINDS if path.stem.startswith(kind))}.yaml"
                )
                for there, here in prompts(pipeline, flow, blocks, leaves):
                    compared, same = compared + 1, same + (there == here)
                for made, _, template, _ in asking(pipeline, flow, blocks) if name == "full" else ():
                    for _ in range(ANSWERS):
                        reading.answer(made, template, draw)
            print(f"{name}: {compared} prompts of {len(leaves)} leaves, {same} the same to the byte")
    print(f"full: {reading.whole} whole answers, {reading.same} read the same")
    print(f"full: {reading.damaged} answers of several groups that lost one tag:")
    for where, wrong, right in zip(("there", "here"), reading.wrong, reading.right, strict=True):
        print(f"  {where}: {wrong} with a group that nobody wrote, {right} groups as written")


if __name__ == "__main__":
    main()
