"""A run's facts to one self-contained HTML page: no script, nothing loaded from elsewhere, every text escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from instructlab_like.report.advice import advise
from instructlab_like.report.charts import curves, leaf_curves
from instructlab_like.report.contribution_text import chance
from instructlab_like.report.facts import ReportFacts
from instructlab_like.report.heat import branches, heat_rows, mean_row, own_rows
from instructlab_like.report.judge import judge_view
from instructlab_like.report.leaves import SHOWN, LeafView, filter_views, leaf_views
from instructlab_like.report.mix import verdict
from instructlab_like.report.wording import change, clip, level, score, visible

HERE = Path(__file__).parent


def page(facts: ReportFacts) -> str:
    """The report. The same facts give the same bytes."""
    views = leaf_views(facts)
    checkpoints = facts.summary.checkpoints if facts.summary else ()
    style = (HERE / "page.css").read_text(encoding="utf-8")
    sealed = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    text = (
        environment()
        .get_template("page.html.j2")
        .render(
            facts=facts,
            summary=facts.summary,
            checkpoints=checkpoints,
            style=Markup(style),  # noqa: S704 - a file of this package, not text of the run
            policy=f"default-src 'none'; style-src 'sha256-{sealed}'; base-uri 'none'; form-action 'none'",
            rows=heat_rows(views, checkpoints),
            mean=mean_row(checkpoints),
            own=own_rows(checkpoints),
            branches=branches,
            folders=folders(views),
            views=views,
            most=SHOWN,
            filters=filter_views(facts),
            mix_verdict=verdict(facts.mix) if facts.mix else "",
            curves=curves(facts.losses),
            leaf_curves=leaf_curves(facts.losses, facts.held_out),
            learning=facts.learning,
            chance=chance(facts.contributions) if facts.contributions else "",
            judged=judge_view(facts.summary),
            advice=advise(facts, views),
        )
    )
    return text.lstrip()  # what the imports of fragments leave before the page


@cache
def environment() -> Environment:
    """Autoescape on, unknown names are errors, and characters that HTML forbids are made visible."""
    made = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"score": score, "change": change, "level": level, "clip": clip, "across": across}
    return made


def across(value: float) -> str:
    """Where a score from 0 to 1 stands in a drawing that is 200 wide with margins of 6."""
    return f"{6 + 188 * value:.1f}"


def folders(views: Sequence[LeafView]) -> list[tuple[str, list[LeafView]]]:
    """The leaves under their folders, both in the taxonomy's order."""
    found: dict[str, list[LeafView]] = {}
    for view in views:
        found.setdefault(view.folder, []).append(view)
    return list(found.items())
