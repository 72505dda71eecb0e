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
from instructlab_like.report.charts import curves
from instructlab_like.report.facts import ReportFacts
from instructlab_like.report.leaves import LeafView, filter_views, leaf_views
from instructlab_like.report.wording import change, clip, score, visible

HERE = Path(__file__).parent


def page(facts: ReportFacts) -> str:
    """The report. The same facts give the same bytes."""
    views = leaf_views(facts)
    style = (HERE / "page.css").read_text(encoding="utf-8")
    sealed = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            facts=facts,
            summary=facts.summary,
            checkpoints=facts.summary.checkpoints if facts.summary else (),
            style=Markup(style),  # noqa: S704 - a file of this package, not text of the run
            policy=f"default-src 'none'; style-src 'sha256-{sealed}'; base-uri 'none'; form-action 'none'",
            folders=folders(views),
            views=views,
            filters=filter_views(facts),
            curves=curves(facts.losses),
            advice=advise(facts, views),
        )
    )


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
    made.filters |= {"score": score, "change": change, "clip": clip, "across": across}
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
