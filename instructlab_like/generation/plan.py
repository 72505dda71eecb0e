"""Leaves and chunks to tasks, in an order that depends on nothing but them; printable before a token is spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, count, islice

from instructlab_like.errors import RecipeError, TemplateError
from instructlab_like.prompts import KnowledgeVariables, SkillVariables, Template, load_template
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import (
    AskTask,
    Chunk,
    Knowledge,
    Leaf,
    Lineage,
    Message,
    Prompt,
    RulesTask,
    Sampling,
    Seed,
    SimulationTask,
    Skill,
    Task,
    digest,
)

KNOWLEDGE, FREEFORM, GROUNDED = "knowledge/pairs.j2", "skill/freeform.j2", "skill/grounded.j2"
NEEDED = {
    KNOWLEDGE: {"question", "answer"},
    FREEFORM: {"question", "answer"},
    GROUNDED: {"context", "question", "answer"},
}
SHOWN = 3  # seed examples in a skill's prompt, as far as its leaf has them


def plan(
    leaves: Sequence[Leaf],
    chunks: Mapping[str, Sequence[Chunk]],
    recipe: GenerateRecipe,
    *,
    teacher: str | None,
) -> list[Task]:
    """Every task of a run: leaf by leaf, and for each leaf method by method as the recipe lists them.

    `chunks` are by leaf path, `teacher` is the teacher's identity. Raises TemplateError, and RecipeError when the
    teacher's method is wanted without a teacher.
    """
    if teacher is None and "teacher" in recipe.methods:
        fix = "name one (--teacher URL --teacher-model NAME), or leave the method out"
        raise RecipeError("the method 'teacher' needs a teacher", where="methods", fix=fix)
    templates = {name: template(name) for name in NEEDED} if teacher else {}
    tasks: list[Task] = []
    for leaf in leaves:
        for method in dict.fromkeys(recipe.methods):
            if method == "rules" and isinstance(leaf, Knowledge):
                tasks += [RulesTask(leaf=leaf.path, leaf_blob=leaf.blob, chunk=c) for c in chunks.get(leaf.path, ())]
            elif method == "simulation" and isinstance(leaf, Skill) and leaf.simulation:
                tasks.append(simulated(leaf, recipe))
            elif method == "teacher" and teacher:
                asked = Asked(leaf, recipe, teacher)
                if isinstance(leaf, Knowledge):
                    tasks += asked.about(chunks.get(leaf.path, ()), templates[KNOWLEDGE])
                else:
                    tasks += asked.practising(templates[GROUNDED if leaf.grounded else FREEFORM])
    return tasks


def shortfall(leaves: Sequence[Leaf], tasks: Sequence[Task]) -> list[tuple[str, str]]:
    """The leaves that get no task at all, each with what it lacks."""
    served = {task.prompt.lineage.leaf if isinstance(task, AskTask) else task.leaf for task in tasks}
    return [(leaf.path, lack(leaf)) for leaf in leaves if leaf.path not in served]


def lack(leaf: Leaf) -> str:
    if isinstance(leaf, Knowledge):
        return "its documents gave no chunk, or neither the method 'rules' nor a teacher was chosen"
    if leaf.simulation:
        return "its simulation.yaml needs the method 'simulation', which was not chosen"
    return f"a {'grounded' if leaf.grounded else 'freeform'} skill without simulation.yaml needs a teacher"


def template(name: str) -> Template:
    found = load_template(name)
    if missing := NEEDED[name] - set(found.yields):
        what = f"does not yield {', '.join(sorted(missing))}, which a sample is made of"
        raise TemplateError(what, where=str(found.path), fix="add it to `yields` and to the form of the answer")
    return found


def simulated(leaf: Skill, recipe: GenerateRecipe) -> SimulationTask:
    assert leaf.simulation is not None
    return SimulationTask(
        leaf=leaf.path,
        leaf_blob=leaf.blob,
        simulation=leaf.simulation,
        count=recipe.samples_per_simulation,
        seed=derived_seed(recipe.seed, leaf.path),
    )


class Asked:
    """What a teacher is asked about one leaf, at most `prompts_per_leaf` prompts."""

    def __init__(self, leaf: Leaf, recipe: GenerateRecipe, teacher: str) -> None:
        self.leaf = leaf
        self.recipe = recipe
        self.teacher = teacher

    def about(self, chunks: Sequence[Chunk], template: Template) -> list[AskTask]:
        """Each chunk with each seed example; every chunk is reached before any is reached twice.

        Where there are more chunks than prompts, they are taken at even distances over the documents.
        """
        assert isinstance(self.leaf, Knowledge)
        limit = self.recipe.prompts_per_leaf
        if len(chunks) > limit:
            chunks = [chunks[index * len(chunks) // limit] for index in range(limit)]
        seeds = self.leaf.seeds
        pairings = (
            (i, chunk, seeds[(i + turn) % len(seeds)]) for turn in range(len(seeds)) for i, chunk in enumerate(chunks)
        )
        asked = [(chunk, seed) for _, chunk, seed in islice(pairings, limit)]
        prompts = template.render_all(
            [
                KnowledgeVariables(
                    domain=self.leaf.domain,
                    outline=self.leaf.outline,
                    headings=chunk.headings,
                    passage=chunk.text,
                    example=seed,
                    count=self.recipe.pairs_per_prompt,
                )
                for chunk, seed in asked
            ]
        )
        return [
            AskTask(prompt=self.prompt(messages, template, seed=seed, chunk=chunk), chunk=chunk)
            for messages, (chunk, seed) in zip(prompts, asked, strict=True)
        ]

    def practising(self, template: Template) -> list[AskTask]:
        """A few seed examples at a time, every choice of them in turn; a further round is a further draw.

        At temperature 0 a second draw would repeat the first, so there is none.
        """
        assert isinstance(self.leaf, Skill)
        choices = list(combinations(self.leaf.seeds, min(SHOWN, len(self.leaf.seeds))))
        rounds = count() if template.sampled(self.sampling(0)).temperature else range(1)
        draws = ((draw, shown) for draw in rounds for shown in choices)
        asked = list(islice(draws, self.recipe.prompts_per_leaf))
        prompts = template.render_all(
            [
                SkillVariables(task=self.leaf.task, examples=shown, count=self.recipe.pairs_per_prompt)
                for _, shown in asked
            ]
        )
        return [
            AskTask(prompt=self.prompt(messages, template, seed=shown[0], draw=draw))
            for messages, (draw, shown) in zip(prompts, asked, strict=True)
        ]

    def prompt(
        self,
        messages: tuple[Message, ...],
        template: Template,
        *,
        seed: Seed,
        chunk: Chunk | None = None,
        draw: int = 0,
    ) -> Prompt:
        return Prompt(
            messages=messages,
            sampling=template.sampled(self.sampling(draw)),
            yields=template.yields,
            lineage=Lineage(
                leaf=self.leaf.path,
                leaf_blob=self.leaf.blob,
                method="teacher",
                model=self.teacher,
                seed=seed.number,
                chunk=chunk.id if chunk else None,
                template=template.name,
                template_blob=template.blob,
                draw=draw,
                depth=1,
            ),
        )

    def sampling(self, draw: int) -> Sampling:
        return Sampling(
            temperature=self.recipe.temperature,
            max_tokens=self.recipe.max_tokens,
            seed=derived_seed(self.recipe.seed, draw),
        )


def derived_seed(*parts: str | int) -> int:
    """31 bits, which every server takes. A teacher's seed never holds a leaf's path: renaming a leaf asks nothing."""
    return int(digest(list(parts))[:8], 16) >> 1
