"""What is wrong with a leaf's simulation beyond its form: templates that fail, hide a parameter or never vary."""

from __future__ import annotations

from collections.abc import Iterable

from instructlab_like.checking.subject import Subject
from instructlab_like.records import Skill
from instructlab_like.taxonomy.findings import Finding, Findings
from instructlab_like.taxonomy.tree import SIMULATION


def findings(subject: Subject) -> Iterable[Finding]:
    leaf = subject.reading.leaf
    if not isinstance(leaf, Skill) or leaf.simulation is None:
        return []
    # Only few leaves have a simulation, and the template engine is slow to load.
    from instructlab_like.generation.simulation import problems

    found = Findings(subject.place.naming(SIMULATION))
    for text in problems(leaf.simulation):
        message, _, fix = text.partition(" → ")
        found.error(None, "simulation", message, fix=fix)
    return found.found
