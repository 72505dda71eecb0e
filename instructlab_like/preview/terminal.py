"""A preview as plain text for a terminal or a build's log; nothing that a leaf says acts there."""

from __future__ import annotations

from collections.abc import Iterator

from instructlab_like.checking.forms.plain import line
from instructlab_like.generation.figures import number
from instructlab_like.preview import wording
from instructlab_like.preview.facts import LeafPreview, Preview, Shown
from instructlab_like.report import waterfall

LONGEST = 400  # characters of a quoted text
MOST = 20  # findings, overlaps and leaves listed before the rest is counted


def text(told: Preview) -> str:
    parts = [[wording.headline(told), f"recipe: {wording.settings(told)}"]]
    parts += [list(leaf_rows(leaf)) for leaf in told.leaves]
    parts += [
        list(rows)
        for rows in (removed_rows(told), filter_rows(told), total_rows(told), shift_rows(told), note_rows(told))
    ]
    return "\n\n".join("\n".join(map(line, rows)) for rows in parts if rows)


def removed_rows(told: Preview) -> Iterator[str]:
    yield from (f"{'removed':<8} {path}" for path in told.removed)


def total_rows(told: Preview) -> Iterator[str]:
    """The cost of all leaves together, where there are several."""
    if told.teacher is not None and sum(leaf.teacher is not None for leaf in told.leaves) > 1:
        yield "all previewed leaves: what a full run would ask of a teacher"
        yield from (f"  {name:<10} {figure}  ({basis})" for name, figure, basis in wording.bases(told.teacher))


def shift_rows(told: Preview) -> Iterator[str]:
    if told.shift is None or not (told.shift.leaves or told.shift.uncounted):
        return
    yield f"shift of the mix, before → after: {told.shift.basis}"
    rows = (*told.shift.branches, *told.shift.leaves[:MOST])
    width = max((len(share.name) for share in rows), default=0)
    yield from (f"  {share.name:<{width}}  {wording.share(share)}" for share in rows)
    if len(told.shift.leaves) > MOST:
        yield f"  … and {len(told.shift.leaves) - MOST} leaves more; --format json lists all"
    yield from _limited("not counted", list(told.shift.uncounted))


def filter_rows(told: Preview) -> Iterator[str]:
    """What each filter did; of which leaf, the leaves' own rows say."""
    if told.waterfall.phases and told.waterfall.phases[0].made:
        yield "filters, over all that was made for this preview"
        yield from (f"  {row}" for row in waterfall.lines(told.waterfall, leaves=0))
        yield f"  {told.not_checked}"


def note_rows(told: Preview) -> Iterator[str]:
    yield from (f"note: {note}" for note in told.notes[:MOST])
    if len(told.notes) > MOST:
        yield f"note: … and {len(told.notes) - MOST} more; --format json lists all"


def leaf_rows(leaf: LeafPreview) -> Iterator[str]:
    what = wording.change(leaf.change)
    yield f"{leaf.change.kind:<8} {leaf.path}" + (f"  ({what})" if what else "")
    yield from _limited("check", [wording.finding(found) for found in leaf.findings])
    if not leaf.previewed:
        yield _told("preview", "none: `ilk check` must find no error first")
        yield from _limited("overlap", list(map(cut, wording.repeats(leaf.overlaps))))
        return
    yield from (_told("lacking", " ".join(reason.split())) for reason in leaf.lacking)
    if leaf.chunks:
        yield _told("documents", f"{leaf.documents}, in {leaf.chunks} chunks")
    for name, figure in (("made", leaf.made), ("kept", leaf.kept)):
        if figure is not None:
            yield _told(name, f"{number(figure)}  ({figure.basis})")
    yield from _limited("rejected", wording.tallies(leaf.rejections))
    if leaf.teacher is not None:
        yield _told("teacher", "what a full run would ask of one")
        yield from (f"    {name:<10} {figure}  ({basis})" for name, figure, basis in wording.bases(leaf.teacher))
    yield from _limited("overlap", list(map(cut, wording.repeats(leaf.overlaps))))
    for place, shown in enumerate(leaf.samples, start=1):
        yield from _sample(place, shown)


def _sample(place: int, shown: Shown) -> Iterator[str]:
    fate = wording.verdict(shown.rejection) if shown.rejection else "kept"
    yield _told(f"sample {place}", f"{shown.method}, {fate}")
    if shown.context:
        yield f"    about  {cut(shown.context)}"
    yield f"    asks   {cut(shown.question)}"
    yield f"    says   {cut(shown.answer)}"


def _limited(name: str, rows: list[str]) -> Iterator[str]:
    yield from (_told(name, row) for row in rows[:MOST])
    if len(rows) > MOST:
        yield _told(name, f"… and {len(rows) - MOST} more; --format json lists all")


def _told(name: str, what: str) -> str:
    return f"  {name:<10} {what}"


def cut(words: str) -> str:
    """A text on one line, and no longer than a screen."""
    joined = " ".join(words.split())
    return joined if len(joined) <= LONGEST else f"{joined[:LONGEST]} …"
