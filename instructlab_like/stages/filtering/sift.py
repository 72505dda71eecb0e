"""Filters alone: over a run, or over any file of conversations, and what another threshold would do."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

import orjson

from instructlab_like.console import aside, say, working
from instructlab_like.dataset.rows import row
from instructlab_like.errors import InputError, RecipeError
from instructlab_like.filters import Surroundings, build, expand, judges, members, nearest, places
from instructlab_like.filters.sift import Outcome, originals, passed
from instructlab_like.generation.ledger import Ledger
from instructlab_like.printable import escaped
from instructlab_like.recipe import FilterChoice, GenerateRecipe, with_target
from instructlab_like.records import PhaseCount, Record, RuleCount, Sample, Verdict, Waterfall, plain
from instructlab_like.report import waterfall
from instructlab_like.stages import manifest
from instructlab_like.stages.filtering.given import READ, as_row, given
from instructlab_like.stages.filtering.judging import Judging
from instructlab_like.stages.filtering.sifting import not_checked, surroundings, together
from instructlab_like.stages.filtering.what_if import Changed, applied, compared
from instructlab_like.stages.generating.generate import generate
from instructlab_like.stages.library import read_leaves
from instructlab_like.stages.lookup import verdicts_of
from instructlab_like.stock import Stock, id_bytes
from instructlab_like.workspace import Run, cores, dump, find, replacing, run_folder

FORMAT = 1
Form = Literal["text", "json", "markdown"]
KEPT, REJECTED, VERDICTS, TOLD = "kept.jsonl", "rejected.jsonl", "verdicts.jsonl", "waterfall.json"
LEDGER = "ledger.sqlite"
VERDICT = "ilk_verdict"  # the field of a rejected row that says why
FOLLOWED = ("filters", "pardons", "roles", "budget", "seed")  # what of a recipe another sifting of a run takes up


class Told(Record):
    """What a sifting came to, as `--format json` gives it."""

    format: int = FORMAT
    made: int
    kept: int
    looked_at: int  # samples that were not remembered from an earlier sifting
    waterfall: Waterfall
    not_checked: str
    remarks: tuple[str, ...] = ()
    trial: Waterfall | None = None  # what would be, with what --what-if says
    changes: Changed | None = None
    out: str | None = None


@dataclass
class Subject:
    """What is sifted: samples, and what is known about them."""

    name: str
    stock: Stock
    around: Surroundings
    before: Waterfall  # what rejected some before any filter
    made: int
    rows: Callable[[Outcome, Book], Iterator[tuple[bool, dict[str, object]]]]  # each kept, or rejected, row
    early: Sequence[bytes] = ()  # verdicts of `before`


def sift(
    target: str,
    recipe: GenerateRecipe,
    *,
    told: Collection[str] = (),
    out: Path | None = None,
    what_if: Sequence[str] = (),
    form: Form = "text",
) -> None:
    """Filter a run or a file; `told` names the options of the recipe that somebody gave.

    A run's verdicts and dataset are written anew, by its own recipe but for what was told; with `out` nothing of it
    changes, and rows kept and rejected are written there. With `what_if` nothing is written at all. Nothing is asked
    again that the ledger holds. Raises InputError for what is neither a run nor rows.
    """
    with aside(form != "text"):
        run = run_of(target)
        if run is not None:
            recipe = followed(run, recipe, told)
        trial = applied(recipe.filters, what_if) if what_if else None
        for choice in expand((*recipe.filters, *(trial or ()))):
            build(choice)  # raises before anything is read
        known_filters(recipe.pardons)
        if run is not None and recipe.pardons:
            with Stock(run.samples) as stock:
                known_samples(recipe.pardons, stock, str(run.folder))
        if run is not None and out is None and trial is None:
            generate(run, recipe, agreed=True, asking=False)
            found = of_run(run)
        else:
            found = apart(run, Path(target), recipe, told, trial, out)
    show(found, form)


def run_of(target: str) -> Run | None:
    """The run of that name or folder; None if it is a file, or a folder of rows."""
    path, run = Path(target), run_folder(target)
    if path.is_file():
        return None
    for found in (run, Run(path)):
        if found.manifest.is_file():
            return found
    if path.is_dir():
        return None
    fix = "name a file of conversations, or a run: ilk runs lists them"
    raise InputError("is neither a file nor a run", where=target, fix=fix)


def known_filters(pardons: Iterable[str]) -> None:
    """Raises RecipeError where a pardon names a filter that there is not."""
    for pardon in pardons:
        name = pardon.partition(":")[2]
        if name and name not in places():
            raise RecipeError(f"there is no filter {name!r}", where=f"--pardon {pardon}", fix=nearest(name, members()))


def known_samples(pardons: Iterable[str], samples: Iterable[Sample], where: str) -> None:
    """Raises InputError where a pardon is for no sample that there is."""
    begins = {pardon.partition(":")[0] for pardon in pardons}
    for sample in samples if begins else ():
        begins = {begin for begin in begins if not sample.id.startswith(begin)}
        if not begins:
            return
    if begins:
        fix = "take the id from rejected.jsonl or verdicts.jsonl, or leave the pardon out"
        raise InputError(f"no sample has an id that begins with {min(begins)}", where=where, fix=fix)


def followed(run: Run, recipe: GenerateRecipe, told: Collection[str]) -> GenerateRecipe:
    """The run's own recipe, but for filters and what belongs to them, where somebody said so."""
    made = manifest.read(run)
    if made.generate is None or not manifest.finished(made):
        fix = f"finish it first: ilk generate --run {run.name}"
        raise InputError("this run is not finished", where=str(run.folder), fix=fix)
    pardons = tuple(dict.fromkeys((*made.generate.pardons, *recipe.pardons)))
    taken = {name: getattr(recipe, name) for name in FOLLOWED if name in told}
    if "filters" in taken:
        taken["filters"] = with_target(recipe.filters, made.generate.target)
    return made.generate.model_copy(update=taken | {"pardons": pardons})


def of_run(run: Run) -> Told:
    """What the filters of a run did, as it was written down."""
    made = manifest.read(run)
    assert made.generate is not None
    whole = Waterfall.model_validate_json(run.waterfall.read_bytes())
    counts = [leaf.made for leaf in made.counts], [leaf.kept for leaf in made.counts]
    return Told(
        made=sum(counts[0]),
        kept=sum(counts[1]),
        looked_at=0,
        waterfall=whole,
        not_checked=not_checked(made.generate.filters),
        out=str(run.dataset),
    )


# --- beside what is sifted --------------------------------------------------------------------------------------


def apart(
    run: Run | None,
    path: Path,
    recipe: GenerateRecipe,
    told: Collection[str],
    trial: Sequence[FilterChoice] | None,
    out: Path | None,
) -> Told:
    """Sift without touching what is sifted."""
    if out is not None and trial is None:
        claim(out)
    with ExitStack() as stack:
        kept_at = out if trial is None else None
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".sift-", dir=kept_at)))
        if run is not None:
            subject = run_subject(run, recipe, stack)
        else:
            subject = file_subject(path, recipe, folder, stack, with_leaves="taxonomy" in told)
            known_samples(recipe.pardons, subject.stock, str(path))
        judging = judge(run, recipe, out, stack, trial=trial is not None)
        sifting = Sifting(subject, recipe, folder, kept_at, stack, judging)
        with working("filtering"):
            outcome, book = sifting.by(recipe.filters)
        whole = Told(
            made=subject.made,
            kept=len(outcome.kept),
            looked_at=outcome.looked_at,
            waterfall=together(subject.before, outcome.waterfall),
            not_checked=not_checked(recipe.filters),
            remarks=(*outcome.remarks, *(judging.remarks if judging else ())),
        )
        if trial is not None:
            with working("filtering with what if"):
                other, second = sifting.by(trial)
            changes = compared(outcome.kept, book.rejected, other.kept, second.rejected)
            trialled = together(subject.before, other.waterfall)
            return whole.model_copy(update={"trial": trialled, "changes": changes})
        if out is not None:
            whole = whole.model_copy(update={"out": str(out)})
            with working("writing"):
                write(out, subject, outcome, book, whole)
        if judging is not None and judging.stopped is not None:
            raise judging.stopped
        return whole


def judge(
    run: Run | None, recipe: GenerateRecipe, out: Path | None, stack: ExitStack, *, trial: bool
) -> Judging | None:
    """Who is asked on behalf of filters, where any asks; what was answered is kept in the run, or in `out`."""
    if not any(role in recipe.roles for role in judges(recipe.filters)):
        return None
    if run is None and out is None:
        fix = "name a folder for them with --out DIR"
        raise InputError("a judge is named, and its answers have no place to be kept", where="--recipe", fix=fix)
    path = run.ledger if run is not None else (out or Path()) / LEDGER
    ledger = stack.enter_context(Ledger(path))
    return stack.enter_context(Judging(ledger, recipe, asking=not trial))


@dataclass
class Sifting:
    subject: Subject
    recipe: GenerateRecipe
    scratch: Path
    out: Path | None
    stack: ExitStack
    judging: Judging | None

    def by(self, filters: Sequence[FilterChoice]) -> tuple[Outcome, Book]:
        book = Book(self.scratch, len(expand(filters)), self.stack)
        outcome = passed(
            self.subject.stock,
            filters,
            self.subject.around,
            tell=book.tell,
            pardons=self.recipe.pardons,
            ask=self.judging,
            scratch=self.scratch,
            memory=self.out / ".index" / "sift" if self.out else None,
            processes=cores(),
        )
        return outcome, book


@dataclass
class Book:
    """The verdicts of one sifting, in the order in which they are to be written; the rejections found by sample."""

    scratch: Path
    filters: int
    stack: ExitStack
    files: list[BinaryIO] = field(default_factory=list)
    places: dict[bytes, tuple[int, int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for _ in range(self.filters + 1):
            file = tempfile.TemporaryFile(dir=self.scratch)  # noqa: SIM115 (the stack closes it)
            self.files.append(self.stack.enter_context(file))

    def tell(self, place: int, line: bytes) -> None:
        file = self.files[place]
        if place < self.filters:
            told = orjson.loads(line)
            if not told["keep"]:
                self.places[id_bytes(told["subject"])] = (place, file.tell(), len(line))
        file.write(line)

    def rejected(self, id: str) -> Verdict | None:
        found = self.places.get(id_bytes(id))
        if found is None:
            return None
        place, start, size = found
        file = self.files[place]
        file.seek(start)
        line = file.read(size)
        file.seek(0, 2)
        return Verdict.model_validate_json(line)

    def lines(self) -> Iterator[bytes]:
        for file in self.files:
            file.seek(0)
            yield from file


def run_subject(run: Run, recipe: GenerateRecipe, stack: ExitStack) -> Subject:
    leaves = read_leaves(find(recipe.taxonomy), recipe.leaves, recipe.exclude)
    flows: set[bytes] = set()
    for verdict in verdicts_of(run):
        if not verdict["keep"] and "/" in verdict["filter"] and len(verdict["subject"]) == 2 * len(id_bytes("00" * 16)):
            flows.add(id_bytes(verdict["subject"]))
    stock = stack.enter_context(Stock(run.samples, without=flows))
    whole = Waterfall.model_validate_json(run.waterfall.read_bytes())
    before = Waterfall(
        phases=tuple(phase for phase in whole.phases if phase.phase == "generation"),
        rules=tuple(one for one in whole.rules if "/" in one.filter or one.filter == "parse"),
    )

    def rows(outcome: Outcome, book: Book) -> Iterator[tuple[bool, dict[str, object]]]:
        for sample in outcome.kept:
            yield True, plain(row(sample))
        for sample in stock:
            if verdict := book.rejected(sample.id):
                yield False, {**plain(row(sample)), VERDICT: plain(verdict)}

    return Subject(
        str(run.folder),
        stock,
        surroundings(find(recipe.taxonomy), leaves, recipe.seed, recipe.target),
        before,
        len(stock) + len(flows),
        rows,
    )


def file_subject(path: Path, recipe: GenerateRecipe, folder: Path, stack: ExitStack, *, with_leaves: bool) -> Subject:
    leaves = read_leaves(find(recipe.taxonomy), recipe.leaves, recipe.exclude) if with_leaves else ()
    staged, unread = folder / "rows.jsonl", list[Verdict]()
    count = 0
    with replacing(staged, durable=False) as file, working("reading"):
        for one in given(path):
            count += 1
            if one.sample is None:
                assert one.verdict is not None
                unread.append(one.verdict)
            else:
                file.write(dump(plain(one.sample)))
    if len(unread) == count:
        fix = "docs/formats.md describes what is read"
        raise InputError(f"holds no conversation: {unread[0].reason}", where=str(path), fix=fix)
    stock = stack.enter_context(Stock(staged))

    def rows(outcome: Outcome, book: Book) -> Iterator[tuple[bool, dict[str, object]]]:
        left = originals(outcome.made_anew, outcome.kept)
        for one in given(path):
            if one.sample is None:
                assert one.verdict is not None
                yield False, {**one.fields, VERDICT: plain(one.verdict)}
                continue
            replaced = left.get(one.sample.id)
            verdict = book.rejected(one.sample.id)
            if verdict is None or replaced is not None:
                yield True, dict(as_row(one.fields, replaced or one.sample, changed=replaced is not None))
            if verdict is not None:
                yield False, {**one.fields, VERDICT: plain(verdict)}

    return Subject(
        str(path),
        stock,
        surroundings(find(recipe.taxonomy), leaves, recipe.seed, recipe.target),
        reading(count, len(unread)),
        count,
        rows,
        [dump(plain(one)) for one in unread],
    )


def reading(made: int, unread: int) -> Waterfall:
    """What became of the rows before any filter."""
    if not unread:
        return Waterfall()
    phase = PhaseCount(filter=READ, phase="reading", made=made, kept=made - unread, rejected=unread)
    return Waterfall(phases=(phase,), rules=(RuleCount(filter=READ, rule="no-conversation", leaf="", rejected=unread),))


def claim(out: Path) -> None:
    """Make the folder for what is written; one that holds anything else is refused."""
    if out.is_dir() and any(out.iterdir()) and not (out / TOLD).is_file():
        raise InputError("is not empty", where=str(out), fix="name a new folder, or one of an earlier sifting")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot be made: {error.strerror}", where=str(out), fix="name another folder") from error


def write(out: Path, subject: Subject, outcome: Outcome, book: Book, told: Told) -> None:
    with replacing(out / KEPT) as kept, replacing(out / REJECTED) as rejected:
        for keep, fields in subject.rows(outcome, book):
            (kept if keep else rejected).write(orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE))
    with replacing(out / VERDICTS) as file:
        file.writelines(subject.early)
        file.writelines(book.lines())
    with replacing(out / TOLD) as file:
        file.write(dump(plain(told)))


# --- what is said -----------------------------------------------------------------------------------------------


def show(told: Told, form: Form) -> None:
    if form == "json":
        say(orjson.dumps(plain(told), option=orjson.OPT_INDENT_2).decode())
        return
    shown = told.trial or told.waterfall
    if form == "markdown":
        say(waterfall.markdown(shown))
        return
    for line in waterfall.lines(shown):
        say(escaped(line))
    for remark in told.remarks:
        say(escaped(remark))
    say()
    say(told.not_checked)
    if told.changes is not None:
        for line in told.changes.lines():
            say(escaped(line))
        say("sift: nothing was written")
        return
    share = f" ({100 * told.kept / told.made:.1f} %)" if told.made else ""
    where = f" → {told.out}" if told.out else "; nothing was written (--out DIR writes what is kept and what is not)"
    say(f"sift: {told.kept:,} of {told.made:,} kept{share}{where}")
