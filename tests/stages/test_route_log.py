"""What an earlier run shows of its teachers, counted from its samples and verdicts; and the log of routes itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from instructlab_like.generation.routing import WROTE, Candidate, Route, Shown, Work
from instructlab_like.records import Lineage, Sample, Turn, Verdict, digest
from instructlab_like.stages import lookup
from instructlab_like.stages.generating import routes
from instructlab_like.workspace import Run, write_records

LEAF, KNOWN = "compositional_skills/a", "knowledge/b"
ANSWER = "skill/answer.j2"
TEMPLATES = {"asker": "skill/questions.j2", "answerer": ANSWER, "expert": ANSWER, "critic": "judge/pair.j2"}


class Book:
    """A run's samples and verdicts, as they are put in one by one."""

    def __init__(self, folder: Path) -> None:
        self.run = Run(folder / "runs" / "past")
        self.samples: list[Sample] = []
        self.verdicts: list[Verdict] = []

    def sample(self, *turns: str, leaf: str = LEAF, answer: str = "a", method: str = "teacher") -> Sample:
        """A sample with turns as "role model", the last of which that answers is its author."""
        told = [turn.split() for turn in turns]
        made = tuple(
            Turn(
                step=f"{role}-{number}",
                role=role,
                template=TEMPLATES[role],
                template_blob="b",
                model=model,
                call=digest([number, len(self.samples)]),
            )
            for number, (role, model) in enumerate(told)
        )
        author = next((turn.model for turn in reversed(made) if turn.template == ANSWER), "")
        lineage = Lineage.model_validate(
            {"leaf": leaf, "leaf_blob": "b", "method": method, "model": author or "rules/1", "turns": made}
        )
        kind: Any = "knowledge" if leaf == KNOWN else "freeform"
        found = Sample(id=digest(len(self.samples))[:32], kind=kind, question="q", answer=answer, lineage=lineage)
        self.samples.append(found)
        return found

    def reject(self, sample: Sample, by: str, reason: str = "score is 1, less than 2", **more: Any) -> None:
        told = Verdict(
            subject=sample.id, leaf=sample.lineage.leaf, filter=by, version=1, keep=False, reason=reason, **more
        )
        self.verdicts.append(told)

    def works(self) -> dict[tuple[str, str, str], tuple[int, int]]:
        """By leaf, role and model: kept and judged."""
        self.run.folder.mkdir(parents=True)
        write_records(self.run.samples, self.samples)
        write_records(self.run.verdicts, self.verdicts)
        return {(one.leaf, one.role, one.model): (one.kept, one.judged) for one in routes.works(self.run)}


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path)


PLAIN = ("asker m", "answerer s", "critic j")


def test_what_a_judge_rejects_counts_against_all_who_had_a_part_in_it(book: Book) -> None:
    book.sample(*PLAIN)
    book.reject(book.sample(*PLAIN), "freeform/pair-judge")
    book.reject(book.sample(*PLAIN), "critic")  # a filter that asks a model
    found = book.works()
    assert found[LEAF, "answerer", "s"] == found[LEAF, "asker", "m"] == found[LEAF, WROTE, "s"] == (1, 3)


def test_what_other_filters_reject_says_nothing_of_who_wrote_it(book: Book) -> None:
    for name in ("near_duplicate", "exact_duplicate", "personal", "quota"):
        book.reject(book.sample(*PLAIN), name)
    assert book.works()[LEAF, "answerer", "s"] == (4, 4)


def test_a_record_that_never_came_to_a_role_counts_for_nobody_in_it(book: Book) -> None:
    book.reject(book.sample("asker m", "critic j", answer=""), "freeform/question-judge")
    found = book.works()
    assert found == {(LEAF, "asker", "m"): (0, 1), (LEAF, "critic", "j"): (0, 1)}


def test_an_answer_that_another_role_was_asked_for_again_is_not_kept(book: Book) -> None:
    book.sample(*PLAIN, "expert l", "critic j")
    book.sample(*PLAIN)
    found = book.works()
    assert found[LEAF, "answerer", "s"] == (1, 2)
    assert found[LEAF, "expert", "l"] == (1, 1)
    assert found[LEAF, "asker", "m"] == found[LEAF, "critic", "j"] == (2, 2)
    assert (found[LEAF, WROTE, "l"], found[LEAF, WROTE, "s"]) == ((1, 1), (1, 1))


def test_an_answer_that_could_not_be_used_counts_against_the_one_who_had_the_role(book: Book) -> None:
    book.sample(*PLAIN)
    lost = book.sample("asker m", answer="")
    book.reject(lost, "freeform/answers", "the answerer: the answer holds no tags", partner="f" * 64)
    judge = book.sample("asker m", "answerer s")
    book.reject(judge, "freeform/pair-judge", "the critic: the answer is empty", partner="e" * 64)
    found = book.works()
    assert found[LEAF, "answerer", "s"] == (1, 3)
    assert found[LEAF, "critic", "j"] == (1, 2)


def test_the_lesser_of_two_texts_is_not_counted(book: Book) -> None:
    book.sample(*PLAIN)
    book.reject(book.sample(*PLAIN), "revise-freeform/better", "not preferred: the answer has 2, the revision 4")
    assert book.works()[LEAF, "answerer", "s"] == (1, 1)


def test_leaves_and_kinds_are_counted_apart_and_what_no_teacher_made_not_at_all(book: Book) -> None:
    book.sample(*PLAIN)
    book.sample(*PLAIN, leaf=KNOWN)
    book.sample(leaf=KNOWN, method="rules")
    found = book.works()
    assert found[LEAF, "answerer", "s"] == found[KNOWN, "answerer", "s"] == (1, 1)
    assert Work(KNOWN, "knowledge", "answerer", "s", 1, 1) in routes.works(book.run)
    assert {leaf for leaf, _, _ in found} == {LEAF, KNOWN}


def test_who_is_counted_does_not_depend_on_the_order_of_rows(book: Book) -> None:
    for number in range(6):
        sample = book.sample(*PLAIN, *(["expert l", "critic j"] if number % 2 else []))
        if number % 3 == 0:
            book.reject(sample, "freeform/pair-judge")
    before = routes.works(book.run) if book.works() else ()
    write_records(book.run.samples, reversed(book.samples))
    write_records(book.run.verdicts, reversed(book.verdicts))
    assert routes.works(book.run) == before


def test_a_route_is_read_as_it_was_written_and_leaves_go_out_of_the_log(tmp_path: Path) -> None:
    run = Run(tmp_path)
    shown = Shown(run="past", role="answerer", kept=9, judged=10, share=0.9, low=0.6, high=0.98)
    candidate = Candidate(
        rule=1, teacher="s", model="http:s", price_in=1.0, price_out=2.0, quality=shown, qualifies=True, why="w"
    )
    told = [
        Route(leaf=leaf, kind="freeform", role="answerer", teacher="s", model="http:s", rule=1, why="w",
              candidates=(candidate,))
        for leaf in ("a", "b")
    ]  # fmt: skip
    routes.write(run, told)
    assert routes.written(run) == tuple(told)
    assert routes.changes(run, told) == []
    other = told[0].model_copy(update={"model": "http:l"})
    assert routes.changes(run, [other, told[1]]) == ["answerer of a: http:s → http:l"]
    routes.without(run, ["a"])
    assert routes.written(run) == (told[1],)
    routes.without(run, ["b"])
    assert not run.routes.exists()


@pytest.mark.parametrize(
    ("row", "record"), [(lookup.RouteRow, Route), (lookup.CandidateRow, Candidate), (lookup.ShownRow, Shown)]
)
def test_the_rows_of_the_log_have_the_fields_of_their_records(row: Any, record: Any) -> None:
    assert row.__required_keys__ == set(record.model_fields)
