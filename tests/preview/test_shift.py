from __future__ import annotations

from collections.abc import Sequence

from made_previews import chunk, knowledge, skill

from instructlab_like.preview import shift as module
from instructlab_like.preview.facts import Shift
from instructlab_like.preview.shift import Census, Side, shift
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import Chunk, IntegerParameter, Leaf, Simulation

ONE = IntegerParameter(low=1, high=1)
SUMS = Simulation(
    parameters={"a": IntegerParameter(low=1, high=40), "b": IntegerParameter(low=1, high=40)},
    questions=("How much is {{ a }} plus {{ b }}?",),
    answer="{{ a + b }}",
)
TOWN = "# Velmouth\n\nVelmouth was founded by Odo Brask in 1204. The town has 1,200 inhabitants."


def sums(path: str) -> Leaf:
    return skill(path, ("What is one plus one?", "2"), simulation=SUMS)


def side(*leaves: Leaf, **chunks: Sequence[Chunk]) -> Side:
    return Side(leaves, {leaf.path: chunks.get(leaf.path.rpartition("/")[2], ()) for leaf in leaves})


def shifted(before: Side, after: Side, census: Census) -> Shift:
    return shift(before, after, census, changed=())


def test_an_added_leaf_takes_its_share_of_all() -> None:
    census = Census(GenerateRecipe(samples_per_simulation=30))
    told = shifted(side(sums("skills/a")), side(sums("skills/a"), sums("skills/b")), census)
    (added,) = told.leaves
    assert (added.name, added.before, added.after, added.share_after) == ("skills/b", None, 30, 0.5)
    (branch,) = told.branches
    assert (branch.name, branch.before, branch.after, branch.share_before) == ("skills", 30, 60, 1.0)
    assert told.basis == "samples before any is rejected (rules: pairs made, simulation: draws made)"


def test_a_removed_leaf_leaves_its_share_to_the_others() -> None:
    told = shifted(side(sums("skills/a"), sums("other/b")), side(sums("skills/a")), Census(GenerateRecipe()))
    assert [(share.name, share.after) for share in told.leaves] == [("other/b", None)]
    assert [(share.name, share.after, share.share_after) for share in told.branches] == [
        ("other", None, None),
        ("skills", 400, 1.0),
    ]


def test_a_teachers_part_is_counted_as_planned() -> None:
    recipe = GenerateRecipe(flows=("freeform-simple", "simulation"), prompts_per_leaf=7, pairs_per_prompt=2)
    told = shifted(side(), side(sums("skills/a")), Census(recipe))
    assert told.leaves[0].after == 7 * 2 + 400
    assert "freeform-simple: planned prompts × 2 samples at most" in told.basis


def test_a_document_that_grew_gives_more_pairs() -> None:
    town = knowledge("knowledge/town", "x")
    more = f"{TOWN} Its mayor is Lisa Torn."
    told = shifted(side(town, town=[chunk(TOWN)]), side(town, town=[chunk(more)]), Census(GenerateRecipe()))
    (share,) = told.leaves
    assert share.before is not None
    assert share.after is not None
    assert 0 < share.before < share.after


def test_a_leaf_without_its_documents_is_named_and_not_counted() -> None:
    town = knowledge("knowledge/town", "x")
    told = shifted(Side([town], {}), Side([town, sums("skills/a")], {}), Census(GenerateRecipe()))
    assert told.uncounted == ("knowledge/town: its documents are not at hand",)
    assert [(share.name, share.share_after) for share in told.leaves] == [("skills/a", 1.0)]


def test_a_simulation_that_cannot_be_drawn_is_named_and_not_counted() -> None:
    broken = SUMS.model_copy(update={"answer": "{{ c }}"})
    told = shifted(side(), side(skill("skills/a", ("x", "y"), simulation=broken)), Census(GenerateRecipe()))
    (why,) = told.uncounted
    assert why.startswith("skills/a: ")


def test_what_has_not_changed_is_made_once() -> None:
    census = Census(GenerateRecipe())
    shifted(side(sums("skills/a")), side(sums("skills/a")), census)
    assert census.simulations_left == module.MOST_SIMULATIONS - 1


def test_beyond_many_chunks_pairs_are_estimated_and_the_basis_says_so() -> None:
    census = Census(GenerateRecipe())
    town = knowledge("knowledge/town", "x")
    one = census.count(town, [chunk(TOWN)])
    census.chunks_left = 0
    assert census.count(town, [chunk(TOWN)] * 3) == 3 * one
    assert f"beyond {module.MOST_CHUNKS} chunks estimated by their length" in census.basis


def test_beyond_many_simulations_they_count_as_planned_and_the_basis_says_so() -> None:
    small = SUMS.model_copy(update={"parameters": {"a": IntegerParameter(low=1, high=3), "b": ONE}})
    leaf = skill("skills/a", ("x", "y"), simulation=small)
    assert Census(GenerateRecipe()).count(leaf, ()) == 3
    census = Census(GenerateRecipe())
    census.simulations_left = 0
    assert census.count(leaf, ()) == 400
    assert f"beyond {module.MOST_SIMULATIONS} simulations as many as are asked for" in census.basis


def test_what_makes_the_difference_is_counted_before_the_rest() -> None:
    census = Census(GenerateRecipe())
    census.simulations_left = 1
    small = SUMS.model_copy(update={"parameters": {"a": IntegerParameter(low=1, high=3), "b": ONE}})
    new = skill("skills/z", ("x", "y"), simulation=small)
    told = shift(side(sums("skills/a")), side(sums("skills/a"), new), census, changed={new.path})
    assert [(share.name, share.after) for share in told.leaves] == [(new.path, 3)]
