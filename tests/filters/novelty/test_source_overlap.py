from __future__ import annotations

import pytest

from instructlab_like.filters import LeafFacts
from instructlab_like.filters.novelty.source_overlap import SourceOverlap
from instructlab_like.records import Pair, Seed

PASSAGE = (
    "The harbour of Orrin was dug by hand between 1840 and 1852. Some two hundred labourers moved the clay in baskets, "
    "and a narrow railway took it to the marsh behind the dunes, where it was used to raise the new fields. When the "
    "lock was finished the first ship to enter was a collier from the north, whose master was given a silver cup that "
    "still stands in the town hall. Storms damaged the outer wall three times before it was faced with granite."
)
CHINESE = (
    "奥林港于一八四零年至一八五二年间由人工挖掘而成。大约两百名工人用篮子搬运泥土，一条窄轨铁路把泥土运到沙丘后面的沼泽地，"
    "在那里泥土被用来抬高新的田地。船闸完工后，第一艘进港的船是一艘来自北方的运煤船，船长获得了一只银杯，至今仍存放在市政厅里。"
)
SEEDS = (
    Seed(
        number=1,
        line=5,
        context="A lamp burns on the pier all night.",
        pairs=(
            Pair(
                question="Who lights the lamp on the pier each evening?",
                answer="The keeper's daughter lights it at dusk.",
            ),
            Pair(question="Is the lamp red?", answer="Yes"),
        ),
    ),
    Seed(
        number=2,
        line=15,
        pairs=(
            Pair(
                question="Explain to a visitor why the harbour has a lock at its mouth.",
                answer="The lock keeps the water in the harbour at one height, so ships do not fall dry at low tide.",
            ),
        ),
    ),
)
LEAF = LeafFacts(path="knowledge/science/tides", seeds=SEEDS)


def judge(sample, leaf=LEAF, **options):
    return SourceOverlap(**options).judge(sample, leaf)


@pytest.fixture
def about(sample):
    def made(question, answer, context=PASSAGE, **more):
        return sample(question, answer, kind="knowledge", context=context, **more)

    return made


def test_a_long_run_of_the_passage_is_rejected_and_told(about):
    answer = "It says this. " + " ".join(PASSAGE.split()[10:60])
    told = judge(about("How was the harbour dug?", answer))
    assert (told.rule, told.partner, told.score, told.threshold) == ("copied-source", "the passage", 50, 50)
    assert "answer has 50 words in a row of the passage" in told.reason
    assert judge(about("How was the harbour dug?", answer), words=51).keep
    assert judge(about(f"Discuss: {answer}", "It was dug by hand.")).rule == "copied-source"


def test_pieces_that_make_up_an_answer_count_together(about):
    words = PASSAGE.split()
    patched = " ".join([*words[:30], "slowly", *words[30:58], "again", *words[58:]])
    told = judge(about("How was the harbour dug?", patched))
    assert (told.rule, told.keep) == ("copied-source", False)
    assert told.score == len(words)
    own = (
        "Nobody today would dig a port like that, and the reasons are plain: it was slow, dear and dangerous for all. "
    )
    assert judge(about("How was the harbour dug?", patched + " " + 2 * own)).keep


@pytest.mark.parametrize(
    "answer",
    [
        "Between 1840 and 1852.",
        "Some two hundred labourers moved the clay in baskets, and a narrow railway took it to the marsh behind.",
        "It was a collier from the north. Its master was given a silver cup, which one can still see in the town hall; "
        "before that, two hundred people had carried clay to the marsh, and the fields there were raised with it.",
    ],
)
def test_extracts_and_retellings_pass(about, answer):
    assert judge(about("What happened?", answer)).keep


def test_case_and_punctuation_do_not_hide_a_copy(about):
    assert not judge(about("What happened?", "**" + PASSAGE.upper().replace(",", " –") + "**")).keep


def test_characters_count_where_no_spaces_part_words(about):
    told = judge(about("港口是怎样挖的？", CHINESE, context=CHINESE))
    assert (told.rule, told.keep) == ("copied-source", False)
    assert judge(about("港口是怎样挖的？", CHINESE[:24], context=CHINESE)).keep


@pytest.mark.parametrize("method", ["rules", "simulation"])
def test_what_rules_and_simulations_made_is_not_judged(about, method):
    told = judge(about("What happened?", PASSAGE, method=method))
    assert (told.keep, told.applied) == (True, False)


def test_an_equal_seed_pair_is_rejected_however_short(sample):
    told = judge(sample("is the LAMP red", "Yes."))
    assert (told.rule, told.partner, told.score) == ("seed-copy", "seed 1, question 2", 1.0)
    assert judge(sample("Is the lamp red?", "No")).keep
    assert judge(sample("Is the door red?", "Yes")).keep


def test_a_near_copy_of_a_seed_pair_is_rejected(sample):
    asked = "Explain to a visitor why the port has a lock at its mouth."
    answer = "The lock keeps the water in the basin at one height, so boats do not fall dry at low tide."
    told = judge(sample(asked, answer))
    assert (told.rule, told.partner) == ("seed-copy", "seed 2")
    assert 0.8 <= told.score < 1
    told = judge(sample("Who lights up the lamp on the pier each evening?", "The keeper's daughter lights it at dusk."))
    assert told.rule == "seed-copy"


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Who lights the lamp on the mole each evening?", "The keeper's daughter lights it at dusk."),
        ("Who lights the lamp on the pier each evening?", "The baker's son puts a match to it at six."),
        (
            "Explain to a visitor why the harbour has a lock at its mouth.",
            "It has one for the tide, which runs high there.",
        ),
        (
            "Explain to a visitor why the harbour has a lock at its mouth.",
            "The lock keeps the water in the harbour at one height, so ships do fall dry at low tide.",
        ),
    ],
)
def test_another_question_or_another_answer_than_a_seeds_passes(sample, question, answer):
    assert judge(sample(question, answer)).keep


def test_classifications_that_share_an_instruction_pass(sample):
    task = "Decide whether the mood of the following review of a product in our shop is positive or negative:"
    seeds = (Seed(number=1, line=1, pairs=(Pair(question=f"{task} Great boots.", answer="positive"),)),)
    leaf = LeafFacts(path="knowledge/science/tides", seeds=seeds)
    assert judge(sample(f"{task} Lovely scarf.", "positive"), leaf).keep
    assert not judge(sample(f"{task} Great boots!", "Positive"), leaf).keep


def test_an_answer_that_repeats_a_seeds_long_answer_is_rejected(sample):
    seeds = (Seed(number=1, line=1, pairs=(Pair(question="Tell the story.", answer=PASSAGE),)),)
    leaf = LeafFacts(path="knowledge/science/tides", seeds=seeds)
    told = judge(sample("Write something about a port for our newsletter.", PASSAGE), leaf)
    assert (told.rule, told.partner) == ("copied-seed", "seed 1")


def test_a_grounded_answer_may_repeat_its_own_passage(sample):
    asked = sample("Correct the punctuation of this text.", PASSAGE, kind="grounded", context=PASSAGE.replace(",", ""))
    assert judge(asked).keep


def test_the_context_of_a_seed_is_a_source_too(about):
    seeds = (Seed(number=3, line=1, context=PASSAGE, pairs=SEEDS[1].pairs),)
    leaf = LeafFacts(path="knowledge/science/tides", seeds=seeds)
    told = judge(about("What happened?", PASSAGE, context="A quite different passage."), leaf)
    assert (told.rule, told.partner) == ("copied-source", "seed 3, context")


def test_a_leaf_without_seeds_and_a_sample_without_passage_are_judged_by_what_there_is(sample):
    assert judge(sample("What happened?", PASSAGE), LeafFacts(path="knowledge/science/tides")).keep
    assert judge(sample("", ""), LEAF).keep
