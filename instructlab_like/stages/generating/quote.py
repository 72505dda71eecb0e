"""`ilk generate --dry-run` and `--probe`: the prompts in 1-plan.jsonl, and what asking for all of it will take."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from filecmp import cmp
from typing import Literal

from instructlab_like.checking.forms.plain import json_text, line
from instructlab_like.console import say, working
from instructlab_like.filters import judges
from instructlab_like.flows import Flow, load_flows
from instructlab_like.generation import figures
from instructlab_like.generation.engine import End
from instructlab_like.generation.figures import Figure
from instructlab_like.generation.ledger import Ledger
from instructlab_like.generation.plan import check_roles, roles, starts
from instructlab_like.generation.purse import Price
from instructlab_like.generation.quote import Cost, Costing, Quote, StepCost
from instructlab_like.generation.reckon import Part, Paybook, Reckoner, chosen, cutoffs, start_id
from instructlab_like.generation.routing import overview
from instructlab_like.generation.rows import Rows
from instructlab_like.generation.walk import Start, Walk
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import Leaf, Record, plain
from instructlab_like.stages import manifest
from instructlab_like.stages.generating import routes as routing
from instructlab_like.stages.generating.asking import Asked, Staff, priced
from instructlab_like.stages.generating.parents import Earlier
from instructlab_like.stages.generating.progress import Sized
from instructlab_like.stages.generating.targeting import check_target
from instructlab_like.stages.library import Library, read_leaves
from instructlab_like.workspace import Run, find

FORMAT = 1  # of the JSON form; rises when a field changes its meaning or goes

Form = Literal["text", "json"]


class Told(Record):
    format: int = FORMAT
    run: str
    plan: str  # the file that the prompts are in
    sent: int  # calls that this quote itself has made
    quote: Quote
    notes: tuple[str, ...]


def quote(
    run: Run, recipe: GenerateRecipe, *, probe: bool = False, price: Price | None = None, form: Form = "text"
) -> None:
    """Write 1-plan.jsonl and say what is left to be asked; with `probe`, ask a hundredth of the starts before.

    Without `probe` nothing is sent, and nobody has to be there to answer. Raises InputError for wrong input and, when
    the teacher fails a probe or the budget is used up, StoppedError.
    """
    recipe = priced(recipe if probe else keyless(recipe), price)
    with redirect_stdout(sys.stderr), working("planning"):  # standard output is the quote's alone
        told = Quoting(run, recipe, price, probe=probe).told()
    say(json_text(plain(told)) if form == "json" else "\n".join(rows(told)))


def keyless(recipe: GenerateRecipe) -> GenerateRecipe:
    """The recipe without its keys: whoever asks nothing needs none."""
    none: Mapping[str, object] = {"key_env": None}
    return recipe.model_copy(
        update={
            "teacher": recipe.teacher and recipe.teacher.model_copy(update=none),
            "roles": {role: one.model_copy(update=none) for role, one in recipe.roles.items()},
            "teachers": {name: one.model_copy(update=none) for name, one in recipe.teachers.items()},
        }
    )


@dataclass
class Quoting:
    run: Run
    recipe: GenerateRecipe
    price: Price | None
    probe: bool
    sent: int = 0  # calls

    def told(self) -> Told:
        recipe = self.recipe
        root = find(recipe.taxonomy)
        flows = load_flows(recipe.flows)
        if self.probe:
            check_roles(flows, recipe, judges(recipe.filters))
        leaves = read_leaves(root, recipe.leaves, recipe.exclude)
        library = Library(root, recipe, Earlier(recipe, flows, leaves, own=self.run))
        routes = routing.decided(self.run, recipe, flows, leaves)
        check_target(recipe, flows, leaves, library)
        staff = Staff(flows, recipe, routes=routes)
        terms = staff.terms(flows, self.price)
        asked = Asked()
        changes = routing.changes(self.run, routes)
        if manifest.read(self.run).generate is None:  # a run that was made keeps the log of how it was made
            routing.write(self.run, routes)
        with Walk(flows, recipe, terms.identities, terms.seats, parents=library.earlier) as walk:
            with Paybook(self.run.ledger) as answers:
                reckoner = Reckoner(walk, answers)
                self.write_plan(starts(leaves, library.of, walk, library.beside), reckoner)
            parts = list(reckoner.parts.values())
            picked = chosen(parts)
            if self.probe and any(part.left for part in parts):
                self.ask(leaves, library, walk, staff, asked, parts, picked)
                with Paybook(self.run.ledger) as answers:
                    reckoner = Reckoner(walk, answers)
                    for start in starts(leaves, library.of, walk, library.beside):
                        reckoner.add(start)
        changed = f"routes are other than those that the run was made by: {'; '.join(changes)}"
        notes = (*overview(routes), *([changed] if changes else []), *self.notes(flows, staff, library, asked))
        found = Costing(reckoner, terms, picked).quote()
        return Told(run=self.run.name, plan=str(self.run.plan), sent=self.sent, quote=found, notes=notes)

    def write_plan(self, planned: Iterator[Start], reckoner: Reckoner) -> None:
        """The plan as `generate` would write it; another plan than before means that the dataset is not up to date."""
        path = self.run.plan.with_name(f".{self.run.plan.name}.new")
        try:
            with Rows(path) as plan:
                for start in planned:
                    plan.add(start.number, [plain(start.task)])
                    reckoner.add(start)
                plan.settle()
            if not self.run.plan.is_file() or not cmp(path, self.run.plan, shallow=False):
                manifest.forget(self.run, "generate")
                path.replace(self.run.plan)
        finally:
            path.unlink(missing_ok=True)

    def ask(
        self,
        leaves: Sequence[Leaf],
        library: Library,
        walk: Walk,
        staff: Staff,
        asked: Asked,
        parts: Sequence[Part],
        wanted: Mapping[tuple[str, str], int],
    ) -> None:
        """Walk the starts that chance picks; their answers are in the ledger for good."""
        last = cutoffs(parts, wanted)
        picked = (
            start
            for start in starts(leaves, library.of, walk, library.beside)
            if start.flow.asks and start_id(start) <= last.get((start.flow.name, start.about.leaf), -1)
        )
        count = sum(wanted.values())
        with Ledger(self.run.ledger) as ledger:
            before = ledger.spent.calls
            staff.bring(picked, walk, ledger, nothing, asked, Sized(count))
            self.sent = ledger.spent.calls - before

    def notes(self, flows: Sequence[Flow], staff: Staff, library: Library, asked: Asked) -> Iterator[str]:
        if nobody := [role for role in roles(flows) if not staff.has(role)]:
            yield f"nobody is named for {', '.join(nobody)}: name a teacher, and the ledger's answers count"
        for gap in library.lacking:
            yield f"{gap.leaf} is in no figure: {gap.reason}"
        if self.recipe.target is not None:
            yield (
                "a target is set: the figures are of all first prompts, at most; generation asks them in rounds, by "
                "what is short, and ends when the mix is reached"
            )
        if asked.tally.failed:
            kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(asked.tally.failed.items()))
            yield f"{asked.tally.failed.total()} of the probe's calls got no answer ({kinds}), and will be asked again"
        if staff.by_role:
            yield "attempts that fail are repeated, and are calls too; they are in no figure but what was measured"


def nothing(_: Start, __: list[End]) -> None:
    """What a probe walks is gone through again by whoever asks for all of it."""


# --- for people -------------------------------------------------------------------------------------------------

HEADS = ("flow / step", "role", "in the ledger", "to pay", "tokens in", "tokens out", "money")
LONG = 10_000  # from here on thousands, or millions, are enough in a table


def rows(told: Told) -> Iterator[str]:
    found = told.quote
    sent = f"{told.sent:,} calls were made for it" if told.sent else "nothing was sent"
    yield line(f"quote of run {told.run}: {found.starts:,} first prompts, in {told.plan}; {sent}")
    if found.steps:
        yield from map(line, table(found))
        yield ""
        yield from (line(f"  {name:<10} {figure}  ({basis})") for name, figure, basis in bases(found.total))
    else:
        yield "no flow of this plan asks a teacher"
    yield from (line(f"note: {note}") for note in told.notes)


def table(found: Quote) -> Iterator[str]:
    shown = [HEADS, *(cells(f"{cost.flow} / {cost.step}", whom(cost), cost) for cost in found.steps)]
    if len(found.steps) > 1:
        shown.append(cells("total", "", found.total))
    widths = [max(len(row[place]) for row in shown) for place in range(len(HEADS))]
    for row in shown:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def whom(cost: StepCost) -> str:
    return f"{cost.role}: {cost.teacher}" if cost.teacher else cost.role


def cells(name: str, role: str, cost: Cost) -> tuple[str, ...]:
    told = (cost.to_pay, cost.tokens_in, cost.tokens_out, cost.money)
    return (name, role, f"{cost.answered:,}", *(figures.told(figure, short, " – ") for figure in told))


def short(value: float) -> str:
    if abs(value) < LONG:
        return figures.amount(value)
    return f"{value / 1e6:,.2f}M" if abs(value) >= 1e6 else f"{value / 1e3:,.0f}k"


def bases(cost: Cost) -> Iterator[tuple[str, str, str]]:
    """Name, figure and basis of all calls and of what is left to pay."""
    named: tuple[tuple[str, Figure], ...] = (
        ("calls", cost.calls),
        ("to pay", cost.to_pay),
        ("tokens in", cost.tokens_in),
        ("tokens out", cost.tokens_out),
        ("money", cost.money),
    )
    for name, figure in named:
        yield name, figures.number(figure), figure.basis
    yield "finish in", figures.duration(cost.seconds), cost.seconds.basis
