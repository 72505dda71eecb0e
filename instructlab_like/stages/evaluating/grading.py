"""Has answers graded and compared by a judge model of another family, through the run's ledger, and the judge held
against planted faults and people's labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from instructlab_like.console import say, warn
from instructlab_like.errors import IlkError, InputError, ModelError, RecipeError, TemplateError
from instructlab_like.evaluation import labels as by_people
from instructlab_like.evaluation.endpoint import FORM, served
from instructlab_like.evaluation.grading import (
    GRADES,
    JUDGE,
    NO_ANSWER,
    NO_GRADE,
    NO_JUDGE,
    Change,
    Comparison,
    Grade,
    JudgeCard,
    Planted,
    Side,
    by_length,
    disarmed,
    fence,
    first_preferred,
    longer_preferred,
    paired_leaves,
    read_number,
    read_side,
    reference_samples,
    swap_consistency,
    told_apart,
)
from instructlab_like.evaluation.labels import Label, LabelAgreement, Pairing
from instructlab_like.evaluation.summary import BASE
from instructlab_like.filters.parts.families import Kinship, families, kinship
from instructlab_like.filters.parts.planting import planted
from instructlab_like.filters.parts.replies import quoted
from instructlab_like.generation.ledger import Ledger, Spent
from instructlab_like.prompts import Template, load_templates
from instructlab_like.recipe import EvaluateRecipe, JudgeRecipe, TeacherRecipe
from instructlab_like.records import Answer, Item, Lineage, Prompt, Sample, Sampling
from instructlab_like.stages.evaluating.bench import NEAREST, described, makers
from instructlab_like.stages.generating.asking import Absent
from instructlab_like.stages.generating.inquiry import Inquiry, Replies, note_uses, reworded
from instructlab_like.stages.manifest import Manifest, file_digest
from instructlab_like.teachers import open_teacher
from instructlab_like.workspace import Run, find, read_records, write_records

GRADE, PAIR = "judge/grade.j2", "judge/pairwise.j2"
FIELDS = {GRADE: "grade", PAIR: "better"}  # of the reply, that is read
WORDS = {  # of an error about a teacher, and what it is called here
    **{f"teacher.{name}": f"evaluate.judge.{name}" for name in TeacherRecipe.model_fields},
    "an http teacher": "a judge",
    "of the teacher": "of the judge",
}
OPEN = ("judge", "not judged")  # with which the reason begins of an answer that waits for a judge, or had one before
UNREAD = 3  # replies without a grade of which the card shows the beginning
SAID = 160  # characters of one
WORTH = {"better": 1.0, "tie": 0.0, "worse": -1.0, "win": 1.0, "inconsistent": 0.0, "loss": -1.0}

Use = tuple[str, str]  # a leaf, and the key of a call that it needs
Handle = tuple[str, str, tuple[str, ...]]  # a template, an item and the texts that are judged


@dataclass(frozen=True)
class Graded:
    """The answers with their grades, and what is to be known of them.

    `failed`: calls without an answer, by kind, that the same command asks again; a judge that refuses will do so again.
    """

    answers: list[Answer]
    card: JudgeCard | None = None
    grades: tuple[Grade, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    failed: Counter[str] = field(default_factory=Counter)
    spent: dict[str, Spent] = field(default_factory=dict)  # by all calls of the run so far, by whom they asked

    def write(self, folder: Path) -> None:
        """grades.jsonl and comparisons.jsonl; neither where nothing was judged."""
        for name, records in (("grades", self.grades), ("comparisons", self.comparisons)):
            path = folder / f"{name}.jsonl"
            if self.card is None:
                path.unlink(missing_ok=True)
            else:
                write_records(path, records)


def with_judge(recipe: EvaluateRecipe, told: str | None, key_env: str | None) -> EvaluateRecipe:
    """The recipe with the judge that `--judge NAME@URL` or the folder of a local model names, its options as they were.

    Raises InputError for what names no model.
    """
    if told is None:
        return recipe
    place = served(told)
    if place is None and not Path(told).is_dir():
        fix = f"name a model's folder, or {FORM}"
        raise InputError("is no judge: no folder, and no URL behind an @", where=told, fix=fix)
    if place and place.edition:
        what = "a judge has no edition: its grades are kept by its name"
        raise InputError(what, where=place.told, fix="serve a changed judge by another name")
    named = {"kind": "http", "url": place.url, "model": place.name} if place else {"kind": "local", "model": told}
    kept = recipe.judge.model_dump(exclude_unset=True) if recipe.judge else {}
    kept |= {"key_env": key_env} if key_env else {}
    return recipe.model_copy(update={"judge": JudgeRecipe.model_validate({**kept, "url": None, **named})})


def grader(run: Run, made: Manifest, recipe: EvaluateRecipe, items: Sequence[Item], bases: Sequence[str]) -> Grader:
    """What grades the judged ones of these items. `bases`: the models that the answers come from.

    Raises, before anybody is asked anything: RecipeError for a judge of the family of a base or of a teacher of the
    run, InputError for labels that cannot be read or are of no judged item, TemplateError for a template.
    """
    judged = [item for item in items if item.metric == JUDGE]
    if recipe.judge is not None and not judged:
        warn("evaluate: a judge is named, and no question has the metric judge: nobody is asked (docs/heldout.md)")
    if not judged or recipe.judge is None:
        return Grader(judged, None)
    return Grader(judged, Judge(recipe.judge, judged, relations(run, made, recipe.judge, bases), recipe.seed))


# --- who may judge -----------------------------------------------------------------------------------------------


class Relation(NamedTuple):
    """How near the judge is to a model of the run."""

    near: Kinship
    name: str
    part: str  # what the model did
    shared: tuple[str, ...]  # families

    def told(self) -> str:
        who = f"{self.name!r}, {self.part}"
        if self.near == "itself":
            return f"the judge is {who}"
        if self.near == "family":
            return f"the judge is of the family of {who} ({', '.join(self.shared)})"
        if self.near == "unnamed":
            return f"nobody knows which model {self.part}"
        return f"it is not known whether the judge is of the family of {who}"


def relations(run: Run, made: Manifest, judge: JudgeRecipe, bases: Sequence[str]) -> list[Relation]:
    """To the bases and to whoever made the run's samples, the nearest first; none that is known to be far."""
    identity, name = Absent(judge).identity, described(judge)
    told = [
        (base, described(TeacherRecipe(kind="local", model=base)), "which answers") for base in dict.fromkeys(bases)
    ]
    locals_ = local_names(made)
    counts = sample_makers(run)
    teacher = made.generate.teacher if made.generate else None
    if teacher and (own := Absent(teacher).identity) not in counts:
        told.append((own, described(teacher), "the teacher of this run"))
    told += [(one, locals_.get(one, one), f"which made {counts[one]:,} of the samples") for one in sorted(counts)]
    found = []
    for model, known, part in told:
        near: Kinship = "itself" if model == identity else kinship(name, known)
        shared = tuple(sorted(families(name) & families(known)))
        part = f"made {counts[model]:,} of the samples" if near == "unnamed" else part
        found.append(Relation(near, model, part, shared))
    return sorted((one for one in found if one.near != "none"), key=lambda one: NEAREST.index(one.near))


def sample_makers(run: Run) -> Counter[str]:
    """How many of the run's samples each model had a part in."""
    return Counter(
        maker
        for path in (run.samples, run.replaced)
        if path.is_file()
        for sample in read_records(path, Sample)
        for maker in makers(sample)
    )


def local_names(made: Manifest) -> dict[str, str]:
    """Of the recipe's local models by identity, which is a digest and tells of no family."""
    told = made.generate
    found: dict[str, str] = {}
    for one in told.everybody if told else ():
        if one.kind == "local":
            with suppress(ModelError):  # it is not there any more, and is not asked here
                found[Absent(one).identity] = described(one)
    return found


def admit(judge: JudgeRecipe, found: Sequence[Relation]) -> None:
    """Raises RecipeError for a judge that is a model of the run, or of its family, unless it may be."""
    near = next((one for one in found if one.near in ("itself", "family")), None)
    if near is None or judge.same_family:
        return
    what = f"{judge.model!r} cannot judge: {near.told()}; it would share its blind spots, and like its own style"
    fix = "name a model of another family, or set same_family: true there; summary and table then say so"
    raise RecipeError(what, where="evaluate.judge", fix=fix)


# --- what is asked -----------------------------------------------------------------------------------------------


class Judge:
    """A judge that was let in, and what it is asked by."""

    def __init__(self, recipe: JudgeRecipe, items: Sequence[Item], found: Sequence[Relation], seed: int) -> None:
        admit(recipe, found)
        self.recipe, self.seed = recipe, seed
        self.kinship = tuple(one.told() for one in found)
        self.told = TeacherRecipe.model_validate(recipe.model_dump(include=set(TeacherRecipe.model_fields)))
        self.identity = Inquiry.identity(self.told)
        names = (GRADE, PAIR) if recipe.pairwise else (GRADE,)
        self.templates = load_templates(dict.fromkeys(names, "evaluate.judge"))
        for name, template in self.templates.items():
            if FIELDS[name] not in template.yields:
                what = f"yields {', '.join(template.yields)}, and no {FIELDS[name]}"
                raise TemplateError(what, where=str(template.path), fix=f"ask for it: yields: [reason, {FIELDS[name]}]")
            if template.tags is not None:
                what = "has tags of its own, by which a reply is not told from the answer that it judges"
                raise TemplateError(what, where=str(template.path), fix="leave `tags` out, and write [REASON 1]")
        self.labels = self.read_labels(items) if recipe.labels else ()

    def ready(self) -> None:
        """Raise InputError for what is known to be wrong with its endpoint before the first question."""
        if self.told.kind == "http":
            try:
                open_teacher(self.told)  # holds nothing until it is asked
            except IlkError as error:
                raise reworded(error, WORDS) from error

    def read_labels(self, items: Sequence[Item]) -> tuple[Label, ...]:
        path = find(self.recipe.labels)
        found = by_people.read(path)
        known = {text for item in items for text in (item.id, item.question)}
        if not any(one.item in known for one in found):
            what = f"none of its {len(found)} labels is of a judged question of this run"
            fix = "name questions as heldout.yaml has them, or by their ids in 6-evaluation/items.jsonl"
            raise InputError(what, where=str(path), fix=fix)
        return found

    def blobs(self) -> dict[str, str]:
        return {name: template.blob for name, template in self.templates.items()}

    def prompts(self, asked: Mapping[Handle, Item]) -> dict[Handle, Prompt]:
        """What is sent for each; the same item and texts are one prompt, whoever wrote them."""
        found: dict[Handle, Prompt] = {}
        for name, template in self.templates.items():
            own = [(handle, item) for handle, item in asked.items() if handle[0] == name]
            with template.renderer() as renderer:
                shown = renderer.render([variables(item, name, texts) for (_, _, texts), item in own])
            found |= {
                handle: self.prompt(template, item).model_copy(update={"messages": messages})
                for (handle, item), messages in zip(own, shown, strict=True)
            }
        return found

    def prompt(self, template: Template, item: Item) -> Prompt:
        lineage = Lineage(
            leaf=item.leaf,
            leaf_blob="",
            method="teacher",
            model=self.identity,
            template=template.name,
            template_blob=template.blob,
        )
        sampling = Sampling(temperature=0.0, max_tokens=self.recipe.max_tokens, seed=self.seed)
        return Prompt(
            messages=(),
            sampling=template.sampled(sampling),
            yields=template.yields,
            answer_schema=template.answer_schema,
            lineage=lineage,
        )


def variables(item: Item, template: str, texts: Sequence[str]) -> dict[str, str | list[str]]:
    """What a template shows, and the mark by which its own tags are known from those in the texts."""
    names = ("answer",) if template == GRADE else ("first", "second")
    parts = {"question": item.question, "context": item.context, "rubric": item.rubric}
    parts |= dict(zip(names, texts, strict=True))
    told = {name: disarmed((text or "").strip()) for name, text in parts.items()}
    references = [disarmed(text.strip()) for text in (item.answer, *item.accept) if text.strip()]
    return {**told, "references": references, "mark": fence([*told.values(), *references])}


# --- grading -----------------------------------------------------------------------------------------------------


class Grader:
    """Grades the answers to judged items; without a judge it says that they are not judged."""

    def __init__(self, items: Sequence[Item], judge: Judge | None) -> None:
        self.items, self.judge = {item.id: item for item in items}, judge

    def inputs(self) -> dict[str, object]:
        """All that decides the grades besides recipe, items and answers; empty where nothing is judged."""
        if self.judge is None:
            return {}
        labels = file_digest(find(self.judge.recipe.labels)) if self.judge.labels else None
        return {"templates": self.judge.blobs(), "labels": labels, "kinship": self.judge.kinship}

    def ready(self) -> None:
        """To be called before the models answer: raises InputError for a judge that cannot be asked as it is told."""
        if self.judge:
            self.judge.ready()

    def grade(
        self, answers: Sequence[Answer], inquiry: Inquiry, note: Callable[[Sequence[Use]], None] | None = None
    ) -> Graded:
        """The answers, those to judged items with a score or the reason why they have none.

        The inquiry takes empty answers for answers. `note` hears which leaf needs which call before any is asked.

        Raises what the engine raises for a judge that is gone or a budget that is used up; no answer is asked twice.
        """
        if self.judge is None:
            return self.unjudged(answers)
        hearing = Hearing(self.judge, self.items, answers)
        hearing.ask(inquiry, note)
        return hearing.graded(answers)

    def unjudged(self, answers: Sequence[Answer]) -> Graded:
        waiting = [one for one in answers if one.item in self.items and waits(one)]
        if not waiting:
            return Graded(list(answers))
        count = len({one.item for one in waiting})
        say(f"evaluate: {count} questions need a judge, and none is named: they have no score (evaluate.judge)")
        places = {id(one) for one in waiting}
        told = {"score": None, "unscored": NO_JUDGE}
        return Graded([one.model_copy(update=told) if id(one) in places else one for one in answers])


def grade(run: Run, grader: Grader, answers: Sequence[Answer], before: Sequence[Use] = ()) -> Graded:
    """The answers with their grades, through the run's ledger; written to 6-evaluation, beside the answers.

    `before` are the uses of calls by those who answered: all of them are written down before the judge is asked.
    """
    if grader.judge is None:
        found = grader.unjudged(answers)
    else:
        with Ledger(run.ledger) as ledger:
            graded = grader.grade(answers, Inquiry(ledger, empty=True), lambda uses: note_uses(run, [*before, *uses]))
            found = replace(graded, spent=ledger.spent_by())
    found.write(run.evaluation)
    return found


def waits(answer: Answer) -> bool:
    """Whether it is there and has no grade yet; what the model was not asked, or did not say, is not judged."""
    return answer.unanswered is None and (answer.unscored is None or answer.unscored.startswith(OPEN))


class Labelled(NamedTuple):
    """A label of a text that is at hand; `other` is what it is compared with, where it is."""

    label: Label
    item: Item
    text: str
    other: str | None


class Hearing:
    """One judging: all its questions are put at once, and then read from the replies."""

    def __init__(self, judge: Judge, items: Mapping[str, Item], answers: Sequence[Answer]) -> None:
        self.judge, self.items = judge, items
        waiting = [one for one in answers if one.item in items and waits(one)]
        self.texts = {(one.model, one.item): one.text.strip() for one in waiting}
        recipe = judge.recipe
        self.pairs = planted(reference_samples(items.values(), recipe.planted, judge.seed)) if recipe.planted else []
        self.named: dict[str, list[Item]] = {}
        for item in items.values() if judge.labels else ():
            for name in {item.id, item.question}:
                self.named.setdefault(name, []).append(item)
        self.labelled = [found for label in judge.labels if (found := self.matched(label))]
        self.prompts: dict[Handle, Prompt] = {}
        self.replies = Replies({}, {})

    def matched(self, label: Label) -> Labelled | None:
        """With the answer that it is of; None where it is of no question or model that is judged here."""
        named = self.named.get(label.item, ())
        if len(named) != 1:
            return None
        (item,) = named
        text, other = label.answer, label.other
        if label.model is not None:
            text = self.texts.get((label.model, item.id))
            other = self.texts.get((BASE, item.id)) if label.preference else None
        if text is None or (label.preference and (other is None or label.model == BASE)):
            return None
        return Labelled(label, item, text.strip(), other.strip() if other is not None else None)

    # --- asking

    def ask(self, inquiry: Inquiry, note: Callable[[Sequence[Use]], None] | None) -> None:
        asked = {handle: item for item, handles in self.questions() for handle in handles}
        self.prompts = self.judge.prompts(asked)
        if note:
            note([(self.items[item].leaf, prompt.key) for (_, item, _), prompt in self.prompts.items()])
        told, before = self.judge.told, inquiry.tally.reused
        try:
            self.replies = inquiry.put(self.prompts.values(), told, role="critic", whom="the judge")
        except IlkError as error:
            raise reworded(error, WORDS) from error
        reused = inquiry.tally.reused - before
        say(f"  {told.model} judges: {len(self.prompts)} questions" + (f", {reused} in the ledger" if reused else ""))

    def questions(self) -> Iterator[tuple[Item, Sequence[Handle]]]:
        for (_, place), text in self.texts.items():
            yield self.items[place], to_grade(place, text)
        for _, item, base, text in self.side_by_side():
            yield item, to_compare(item.id, base, text)
        for pair in self.pairs:
            item, good, bad = self.items[pair.good.id], pair.good.answer.strip(), pair.bad.answer.strip()
            yield item, [*to_grade(item.id, good), *to_grade(item.id, bad)]
            if self.judge.recipe.pairwise:
                yield item, to_compare(item.id, good, bad)
        for one in self.labelled:
            if one.other is None:
                yield one.item, to_grade(one.item.id, one.text)
            elif self.judge.recipe.pairwise:
                yield one.item, to_compare(one.item.id, one.other, one.text)

    def side_by_side(self) -> Iterator[tuple[str, Item, str, str]]:
        """Each checkpoint with its answer and the base's."""
        if not self.judge.recipe.pairwise:
            return
        for (model, item), text in self.texts.items():
            if model != BASE and (BASE, item) in self.texts:
                yield model, self.items[item], self.texts[BASE, item], text

    # --- reading

    def grade(self, item: Item, text: str, model: str) -> Grade:
        """By rule for an answer without any text, which needs no judge; else by the reply."""
        if not text:
            return Grade(item=item.id, model=model, call=None, grade=GRADES.low, reason="nothing was answered")
        (handle,) = to_grade(item.id, text)
        prompt = self.prompts[handle]
        made = Grade(item=item.id, model=model, call=prompt.key, grade=None)
        if failure := self.replies.failures.get(prompt.key):
            told = {"failure": f"{NO_ANSWER} ({failure.kind})", "said": quoted(failure.error, SAID)}
            return made.model_copy(update=told)
        reply = self.replies.completions[prompt.key]
        said = reply.text
        if reply.finish_reason == "length":
            return made.model_copy(update={"failure": NO_GRADE, "said": quoted(said, SAID)})
        try:
            number, why = read_number(said, prompt.yields, prompt.answer_schema, "grade", GRADES)
        except ValueError:
            return made.model_copy(update={"failure": NO_GRADE, "said": quoted(said, SAID)})
        return made.model_copy(update={"grade": number, "reason": why})

    def compare(self, item: Item, base: str, text: str, model: str) -> Comparison:
        prompts = [self.prompts[handle] for handle in to_compare(item.id, base, text)]
        sides = [self.side(prompt) for prompt in prompts] or [None, None]
        return Comparison(
            item=item.id,
            model=model,
            calls=tuple(prompt.key for prompt in prompts),
            base_first=sides[0],
            base_second=sides[1],
            lengths=(len(base), len(text)),
        )

    def side(self, prompt: Prompt) -> Side | None:
        reply = self.replies.completions.get(prompt.key)
        return read_side(reply.text, prompt.yields, prompt.answer_schema) if reply else None

    # --- what it comes to

    def graded(self, answers: Sequence[Answer]) -> Graded:
        grades = {key: self.grade(self.items[key[1]], text, key[0]) for key, text in self.texts.items()}
        compared = [self.compare(item, base, text, model) for model, item, base, text in self.side_by_side()]
        told = [
            one.model_copy(update={"score": found.score, "unscored": found.failure})
            if (found := grades.get((one.model, one.item)))
            else one
            for one in answers
        ]
        return Graded(
            answers=told,
            card=self.card(grades, compared),
            grades=tuple(grades.values()),
            comparisons=tuple(compared),
            failed=Counter(one.kind for one in self.replies.failures.values() if one.kind != "refused"),
        )

    def card(self, grades: Mapping[tuple[str, str], Grade], compared: Sequence[Comparison]) -> JudgeCard:
        known = [one for one in grades.values() if one.grade is not None]
        return JudgeCard(
            judge=self.judge.identity,
            templates=self.judge.blobs(),
            leaves=tuple(dict.fromkeys(item.leaf for item in self.items.values())),
            same_family=self.judge.recipe.same_family,
            kinship=self.judge.kinship,
            graded=len(known),
            by_rule=sum(one.call is None for one in known),
            ungraded=dict(Counter(one.failure for one in grades.values() if one.failure)),
            unread=tuple(dict.fromkeys(one.said for one in grades.values() if one.failure))[:UNREAD],
            planted=self.told_apart(),
            labels=self.agreement(),
            swap=swap_consistency(compared),
            first=first_preferred(compared),
            longer=longer_preferred(compared),
            grade_by_length=by_length(self.changes(grades)),
            pairwise=paired_leaves(compared, {item.id: item.leaf for item in self.items.values()}),
        )

    def changes(self, grades: Mapping[tuple[str, str], Grade]) -> Iterator[Change]:
        for (model, item), text in self.texts.items():
            if model != BASE and (BASE, item) in self.texts:
                base = grades[BASE, item].grade
                yield Change(item, self.texts[BASE, item], base, text, grades[model, item].grade)

    def told_apart(self) -> Planted | None:
        scored, compared = [], []
        for pair in self.pairs:
            item, good, bad = self.items[pair.good.id], pair.good.answer.strip(), pair.bad.answer.strip()
            scored.append((pair.fault, self.grade(item, good, "").grade, self.grade(item, bad, "").grade))
            if self.judge.recipe.pairwise:
                compared.append(self.compare(item, good, bad, ""))
        return told_apart(scored, compared)

    def agreement(self) -> LabelAgreement | None:
        if not self.judge.labels:
            return None
        grades, preferences, unjudged = [], [], 0
        for one in self.labelled:
            if one.label.grade is not None:
                number = self.grade(one.item, one.text, "").grade
                if number is not None:
                    grades.append(Pairing(one.item.id, one.label.grade, number))
                unjudged += number is None
            elif one.label.preference and one.other is not None:
                found = self.compare(one.item, one.other, one.text, "").outcome if self.judge.recipe.pairwise else None
                if found is not None:
                    preferences.append(Pairing(one.item.id, WORTH[one.label.preference], WORTH[found]))
                unjudged += found is None
        return LabelAgreement(
            grades=by_people.grades_agree(grades),
            preferences=by_people.preferences_agree(preferences),
            unmatched=len(self.judge.labels) - len(self.labelled),
            unjudged=unjudged,
        )


def to_grade(item: str, text: str) -> list[Handle]:
    """No question about an answer without any text."""
    return [(GRADE, item, (text,))] if text else []


def to_compare(item: str, base: str, text: str) -> list[Handle]:
    """The base's answer first, then second; no question about two that are the same."""
    return [(PAIR, item, (base, text)), (PAIR, item, (text, base))] if base != text else []
