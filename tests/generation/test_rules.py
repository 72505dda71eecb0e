"""Rules: which questions a chunk gives, which it must not give, and that every answer stands where it says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.generation.rules import pairs
from instructlab_like.records import Chunk, RulesTask, Sample, normalise

TITLE = ("Harrow, a market town",)


def task(text: str, headings: tuple[str, ...] = TITLE, leaf: str = "knowledge/harrow") -> RulesTask:
    size = len(text.encode())
    chunk = Chunk(
        repo=".", commit="HEAD", document="town.md", blob="b" * 40, start=0, end=size, headings=headings, text=text
    )
    return RulesTask(leaf=leaf, leaf_blob="a" * 40, chunk=chunk)


def asked(text: str, headings: tuple[str, ...] = TITLE) -> dict[str, str]:
    return {sample.question: sample.answer for sample in pairs(task(text, headings))}


@pytest.mark.parametrize(
    ("sentence", "question", "answer"),
    [
        ("The Harrow Clock is an old sundial.", "What is the Harrow Clock?", "an old sundial"),
        ("Ada Quill was an engineer.", "What did Ada Quill do for a living?", "an engineer"),
        ("The Harrow Clock was built by Ada Quill in 1874.", "Who built the Harrow Clock?", "Ada Quill"),
        ("The Harrow Clock was built by Ada Quill in 1874.", "In which year was the Harrow Clock built?", "1874"),
        ("On 5 May 1874, the Harrow Clock was opened.", "On which date was the Harrow Clock opened?", "5 May 1874"),
        ("The Harrow Clock stands in Brill.", "Where can the Harrow Clock be found?", "Brill"),
        ("The Harrow Clock is in Brill.", "Where is the Harrow Clock located?", "Brill"),
        ("The ferry Nessa sails to Brill Island.", "Where does the ferry Nessa sail to?", "Brill Island"),
        ("The height of the Harrow Clock is 31 metres.", "How tall is the Harrow Clock?", "31 metres"),
        ("The Harrow Clock is 31 metres tall.", "What is the height of the Harrow Clock?", "31 metres"),
        ("The mayor of Harrow is Lisa Torn.", "Who is the mayor of Harrow?", "Lisa Torn"),
        ("The mayor of Harrow is Lisa Torn.", "Who is Lisa Torn?", "the mayor of Harrow"),
        ("The flag of Harrow is dark green.", "What colour is the flag of Harrow?", "dark green"),
        ("The Weigh House has 12 rooms.", "How many rooms does the Weigh House have?", "12"),
        ("The Weigh House has nine rooms and two towers.", "How many towers does the Weigh House have?", "two"),
        ("Sixty people work at the Pinnock Mill.", "How many people work at the Pinnock Mill?", "sixty"),
        ("The trip to Brill takes 40 minutes.", "How long does the trip to Brill take?", "40 minutes"),
        ("The Harrow bell weighs 250 kg.", "How heavy is the Harrow bell?", "250 kg"),
        ("A ticket for Harrow costs 9 euros.", "How much does a ticket for Harrow cost?", "9 euros"),
        ("A ticket for Harrow costs €4.50.", "How much does a ticket for Harrow cost?", "€4.50"),
        ("The Harrow gauge reports every six minutes.", "How often does the Harrow gauge report?", "every six minutes"),
        ("The Weigh House opens on Sunday.", "On which day does the Weigh House open?", "Sunday"),
        ("The Weigh House opens at 9 am.", "At what time does the Weigh House open?", "9 am"),
        ("The Weigh House is open from 9 am to 5 pm.", "When is the Weigh House open?", "from 9 am to 5 pm"),
        ("Harrow holds its fair in May.", "In which month does Harrow hold its fair?", "May"),
        ("The Pinnock Mill runs on steam.", "What powers the Pinnock Mill?", "steam"),
        ("The Pinnock Mill makes paper.", "What does the Pinnock Mill make?", "paper"),
        ("The Harrow Gate is made of oak.", "What material is the Harrow Gate made of?", "oak"),
        ("The Harrow lamp is powered by wind.", "What powers the Harrow lamp?", "wind"),
        ("Harrow is known for its rope.", "What is Harrow famous for?", "rope"),
        ("The Brill pump consists of a rod and a seal.", "What are the parts of the Brill pump?", "a rod and a seal"),
        ("The Harrow shop sells tea, rope and tar.", "What is sold by the Harrow shop?", "tea, rope and tar"),
        ("The Harrow bell is called Old Tam.", "What is the Harrow bell called?", "Old Tam"),
        ("The Pinnock Mill burned down in 1920.", "When did the Pinnock Mill burn down?", "1920"),
        ("The Harrow service is done in March.", "When is the Harrow service done?", "March"),
    ],
)  # fmt: skip
def test_a_plain_fact_is_asked_for(sentence: str, question: str, answer: str) -> None:
    assert asked(sentence).get(question) == answer


def test_a_fact_is_asked_for_in_several_phrasings_and_as_a_cloze() -> None:
    found = asked("The Harrow Clock was built by Ada Quill in 1874.")
    years = [question for question, answer in found.items() if answer == "1874"]
    assert len(years) >= 6
    assert any(question.endswith("The Harrow Clock was built in ____.") for question in years)


@pytest.mark.parametrize(
    "sentence",
    [
        "It was built in 1874.",  # by whom, after what?
        "This method was invented in 1874.",
        "The Harrow Clock may have been built in 1874.",
        "The Harrow Clock was not built in 1874.",
        "The Harrow Clock was moved on 7 November.",  # of which year?
        "A new Harrow bridge was opened in 1874.",  # which one?
        "The Harrow book published in 1874.",
        "“The Harrow Clock was built in 1874,” said the sexton.",
        "Was the Harrow Clock built in 1874?",
        "The tallest tower was built in 1874.",
    ],
)
def test_what_is_unclear_makes_nothing(sentence: str) -> None:
    assert asked(sentence) == {}


def test_a_pronoun_is_resolved_only_to_the_subject_just_named() -> None:
    found = asked("The Harrow Clock is a sundial. It was built in 1874.")
    assert found["When was the Harrow Clock built?"] == "1874"
    assert not any("1811" in answer for answer in asked("Harrow lies in Kent.\n\nIt was built in 1811.").values())
    other = asked("The Harrow Clock uses a Brill motor. Nobody knows why it stops. It weighs 3 kg.")
    assert "3 kg" not in other.values()


def test_a_bare_noun_is_named_by_what_it_is_or_by_the_documents_title() -> None:
    ferry = asked("The Bluebell is a ferry. The ferry carries 60 passengers.")
    assert ferry["How many passengers does the Bluebell carry?"] == "60"
    lamp = asked("The lamp burns oil.")
    assert lamp["Harrow, a market town: what does the lamp burn?"] == "oil"
    assert all("Harrow" in question for question in lamp)
    assert asked("The lamp burns oil.", headings=()) == {}


def test_a_question_with_two_answers_is_not_asked() -> None:
    found = asked("The Pinnock Mill makes paper. The Pinnock Mill makes rope.")
    assert not any(question.startswith("What does the Pinnock Mill make") for question in found)


def test_clauses_joined_by_and_share_their_subject() -> None:
    found = asked("Ada Quill was born on 5 May 1841 and died in Brill in 1902.")
    assert found["When was Ada Quill born?"] == "5 May 1841"
    assert found["When did Ada Quill die?"] == "1902"


def test_what_follows_a_participle_inside_a_part_is_not_asked_for() -> None:
    found = asked("The Harrow play is based on a story written by Ada Quill in 1874.")
    assert "1874" not in found.values()


def test_a_markdown_list_answers_the_sentence_above_it() -> None:
    sample = next(iter(pairs(task("The parts of the Harrow pump are:\n\n- a tube\n- a float\n- a seal\n"))))
    assert (sample.question, sample.answer) == ("What are the parts of the Harrow pump?", "a tube, a float, a seal")
    assert sample.evidence is not None
    assert sample.context is not None
    assert sample.context[slice(*sample.evidence)] == "a tube\n- a float\n- a seal"


def test_links_and_emphasis_do_not_hide_a_fact() -> None:
    text = 'The **Harrow\nClock** was built by [Ada\nQuill](Ada_Quill "wikilink") in 1874.[^2]'
    found = {sample.question: sample for sample in pairs(task(text))}
    who = found["Who built the Harrow Clock?"]
    assert who.answer == "Ada Quill"
    assert who.evidence is not None
    assert text[slice(*who.evidence)] == "Ada\nQuill"


def test_samples_depend_on_the_chunk_and_only_their_ids_on_the_leaf() -> None:
    text = "The Pinnock Mill makes paper. The Pinnock Mill runs on steam."
    here, there = pairs(task(text)), pairs(task(text, leaf="knowledge/elsewhere"))
    assert [(one.question, one.answer) for one in here] == [(one.question, one.answer) for one in there]
    assert len({sample.id for sample in (*here, *there)}) == 2 * len(here)
    lineage = here[0].lineage
    assert (lineage.method, lineage.model, lineage.depth) == ("rules", "rules/1", 1)
    assert lineage.chunk == task(text).chunk.id


SUBJECTS = st.sampled_from(
    ["The Harrow Clock", "The **Pinnock** Mill", "[Ada Quill](Ada)", "Lamps", "It", "The gauge of Harrow"]
)
VERBS = st.sampled_from(["was built by", "is", "has", "stands in", "costs", "runs on", "was opened on", "and", "uses"])
ENDS = st.sampled_from(
    ["Ada Quill", "1874", "nine rooms", "*Brill*, Kent", "4 euros", "a mill that grinds corn", "Monday", "oil and gas"]
)
TEXTS = st.lists(
    st.tuples(SUBJECTS, VERBS, ENDS, st.sampled_from([".", ", which is old.", " in 1811.", ":", "\n\n"])), max_size=6
)


@given(TEXTS.map(lambda parts: " ".join(f"{subject} {verb} {end}{stop}" for subject, verb, end, stop in parts)))
def test_every_answer_stands_in_its_evidence_and_in_no_question(text: str) -> None:
    made = pairs(task(text))
    assert made == pairs(task(text))
    assert len({normalise(sample.question) for sample in made}) == len(made)
    for sample in made:
        sound(sample, text)


@given(st.text(alphabet="AbcTheisw.,:;'\"()[]*_ \n-1874€%", max_size=200))
def test_any_text_is_survived(text: str) -> None:
    for sample in pairs(task(text)):
        sound(sample, text)


def sound(sample: Sample, text: str) -> None:
    assert sample.context == text
    assert sample.evidence is not None
    start, end = sample.evidence
    assert 0 <= start < end <= len(text)
    assert normalise(sample.answer) in normalise(text[start:end])
    assert f" {normalise(sample.answer)} " not in f" {normalise(sample.question)} "
    assert sample.question[-1] in "?.)"
