"""InstructLab's files, field by field, against golden files that were read by hand."""

from __future__ import annotations

import json
from collections import Counter

import pytest
import yaml
from finished_run import GOLDEN, HARBOUR, LABEL, LEAVES, REPLAY, SYSTEM, TESTS, TRAIN, Given, exported, sample, whole
from hypothesis import example, given, settings
from hypothesis import strategies as st

from instructlab_like.dataset import formats
from instructlab_like.dataset.instructlab.knowledge import DOCUMENTS, around
from instructlab_like.dataset.instructlab.knowledge import GOLDEN as SHARE
from instructlab_like.dataset.reading import read
from instructlab_like.dataset.reading.questions import questions
from instructlab_like.errors import InputError
from instructlab_like.records import LeafBase, Message, Skill

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(str.strip)


def rows(data):
    return [json.loads(line) for line in data.decode().split("\n")[:-1]]


def put(files, folder):
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def test_an_export_is_byte_for_byte_what_the_golden_files_are():
    files, _ = exported(whole(), system=SYSTEM)
    golden = {path.relative_to(GOLDEN).as_posix(): path.read_bytes() for path in GOLDEN.rglob("*") if path.is_file()}
    assert sorted(files) == sorted(golden)
    for name, data in golden.items():
        assert files[name] == data, name


FIELDS = {
    "messages_gen.jsonl": ["messages", "metadata"],
    "train_gen.jsonl": ["system", "user", "assistant"],
    "test_gen.jsonl": ["user", "assistant", "system"],
    "knowledge_train_msgs_gen.jsonl": ["id", "messages", "metadata", "unmask"],
    "skills_train_msgs_gen.jsonl": ["id", "messages", "metadata", "unmask"],
    "node_datasets_gen/knowledge_towns_harbour_p07.jsonl": ["id", "messages", "metadata", "unmask"],
    "node_datasets_gen/knowledge_towns_harbour_p10.jsonl": ["id", "messages", "metadata", "unmask"],
    "node_datasets_gen/compositional_skills_label.jsonl": ["id", "messages", "metadata", "unmask"],
    "node_datasets_gen/mmlubench_knowledge_towns_harbour.jsonl": ["question", "choices", "answer", "subject"],
}


@pytest.mark.parametrize("name", FIELDS)
def test_fields_stand_in_instructlabs_order(name):
    for row in rows((GOLDEN / name).read_bytes()):
        assert list(row) == FIELDS[name]
        for turn in row.get("messages", ()):
            assert list(turn) == ["content", "role"]
        if "metadata" in row:
            assert isinstance(json.loads(row["metadata"]), dict)


def test_what_is_trained_on_whole_is_p07_alone():
    p10 = rows((GOLDEN / "node_datasets_gen/knowledge_towns_harbour_p10.jsonl").read_bytes())
    p07 = rows((GOLDEN / "node_datasets_gen/knowledge_towns_harbour_p07.jsonl").read_bytes())
    assert all(row["unmask"] is True for row in p07)
    assert [row for row in p10 if row["unmask"]] == p07
    kinds = Counter(json.loads(row["metadata"])["dataset"] for row in p10)
    assert kinds == {"document_knowledge_qa": len(p07), "document_knowledge_qa_raft_p0.4": len(p07)}


def test_mixed_files_have_the_system_prompt_first_and_name_nothing_twice():
    for phase in ("knowledge", "skills"):
        mixed = rows((GOLDEN / f"{phase}_train_msgs_gen.jsonl").read_bytes())
        assert {row["messages"][0]["role"] for row in mixed} == {"system"}
        assert {row["messages"][0]["content"] for row in mixed} == {SYSTEM}
        assert len({row["id"] for row in mixed}) == len(mixed)


@pytest.mark.parametrize("phase", ["knowledge", "skills"])
def test_a_mixed_file_is_what_its_recipe_makes(phase):
    by_recipe = read(GOLDEN / f"{phase}_recipe_gen.yaml").conversations
    assert by_recipe == read(GOLDEN / f"{phase}_train_msgs_gen.jsonl").conversations
    assert by_recipe


def test_no_line_is_broken_by_a_reader_that_splits_as_python_does():
    for path in GOLDEN.rglob("*.jsonl"):
        text = path.read_text(encoding="utf-8")
        assert text.splitlines() == text.split("\n")[:-1], path.name


def test_the_time_is_in_no_byte_and_the_suffix_in_every_name():
    files, _ = exported(whole(), suffix="2025-05-05T10_00_00")
    assert all("2025-05-05T10_00_00" in name for name in files)
    recipe = yaml.safe_load(files["skills_recipe_2025-05-05T10_00_00.yaml"])
    assert {part["path"] for part in recipe["datasets"]} <= set(files)
    assert exported(whole()) == exported(whole())


@pytest.mark.parametrize("suffix", ["", "a/b", "../up", ".hidden", "a b", "x" * 61])
def test_a_suffix_that_is_no_part_of_a_name_is_refused(suffix):
    with pytest.raises(InputError, match="suffix"):
        formats.build("instructlab", {"suffix": suffix})


def test_without_a_system_prompt_the_test_rows_name_none():
    files, _ = exported(whole())
    assert {tuple(row) for row in rows(files["test_gen.jsonl"])} == {("user", "assistant")}
    assert rows(files["train_gen.jsonl"])[0]["system"] == ""
    assert rows(files["skills_train_msgs_gen.jsonl"])[0]["messages"][0] == {"content": "", "role": "system"}


def test_samples_set_aside_for_test_are_in_no_training_file():
    files, _ = exported(whole())
    for name, data in files.items():
        if "mmlubench" not in name:
            assert TESTS[0].question.encode() not in data, name


def test_a_phase_without_rows_has_a_recipe_and_no_mixed_file():
    files, notes = exported(Given(TRAIN, []))
    assert yaml.safe_load(files["knowledge_recipe_gen.yaml"])["datasets"]
    assert "knowledge_train_msgs_gen.jsonl" in files
    skills, notes = exported(Given([], [], leaves=LEAVES[:1]))
    assert yaml.safe_load(skills["skills_recipe_gen.yaml"])["datasets"] == []
    assert "skills_train_msgs_gen.jsonl" not in skills
    assert "no skills_train_msgs: the run has nothing for it" in notes


def test_what_is_left_out_is_told_by_name():
    blank = sample(HARBOUR, "Who?", "  ", context="A passage.")
    alone = sample(HARBOUR, "Which?", "That one", context=None)
    files, notes = exported(Given([*TRAIN, blank, alone], [], leaves=LEAVES))
    assert f"{HARBOUR}: 1 samples without a question or an answer are left out of what is mixed" in notes
    assert f"{HARBOUR}: 1 samples without a passage are left out of its p07 and p10" in notes
    assert f"{HARBOUR}: no multiple-choice questions, for none of its samples is set aside for test" in notes
    assert f"{LABEL}: no training sample, so no file of its own" in notes
    assert all(row["assistant"].strip() for row in rows(files["train_gen.jsonl"]))
    assert not any("mmlubench" in name for name in files)


def test_a_replay_rows_own_system_prompt_gives_way_and_is_told():
    told = REPLAY[1].model_copy(update={"messages": (Message(role="system", content="Sing."), *REPLAY[1].messages)})
    files, notes = exported(Given(TRAIN, [], replay=[told]), system=SYSTEM)
    assert "1 replay rows have a system prompt; what is mixed has that of --system in its place" in notes
    assert rows(files["skills_train_msgs_gen.jsonl"])[-1]["messages"][0]["content"] == SYSTEM


def test_two_leaves_whose_files_would_share_a_name_keep_their_own():
    twins = [skill("compositional_skills/a_b/c"), skill("compositional_skills/a/B_c")]
    made = [sample(leaf.path, f"Of {leaf.path}?", "yes", kind="freeform") for leaf in twins]
    files, notes = exported(Given(made, [], leaves=twins))
    own = [name for name in files if name.startswith("node_datasets_gen/compositional")]
    assert len({name.casefold() for name in own}) == 2
    assert sum("for another leaf's would have the same name" in note for note in notes) == 2


def skill(path):
    return Skill(path=path, blob="0" * 40, version=3, created_by="ann", task="Say.", seeds=())


def test_a_run_whose_dataset_and_samples_disagree_is_refused():
    lost = Given(TRAIN, [])
    lost._samples = TRAIN[1:]
    with pytest.raises(InputError, match=f"sample {TRAIN[0].id} of the dataset is not among the samples"):
        exported(lost)
    with pytest.raises(InputError, match=f"its samples are of {HARBOUR}, which run.yaml does not list"):
        exported(Given(TRAIN, [], leaves=LEAVES[:1]))


def test_tasks_name_their_data_below_the_folder_or_in_full(tmp_path):
    name = "node_datasets_gen/knowledge_towns_harbour_task.yaml"
    data = "node_datasets_gen/mmlubench_knowledge_towns_harbour.jsonl"
    for absolute, place in ((False, data), (True, str(tmp_path / data))):
        files, _ = exported(whole(), folder=tmp_path, absolute_paths=absolute)
        assert yaml.safe_load(files[name])["dataset_kwargs"]["data_files"]["test"] == place
        put(files, tmp_path)
        assert questions(tmp_path / name) == questions(tmp_path / data) != []


# --- RAFT


@given(st.integers(0, 99), st.integers(0, 99), st.lists(TEXT, max_size=8, unique=True))
def test_a_raft_row_has_four_different_passages_or_as_many_as_there_are(seed, number, others):
    asked = sample(HARBOUR, f"Number {number}?", "yes", context="own")
    passages = sorted({"own", *others})
    drawn = around(asked, passages, seed=seed)
    assert drawn == around(asked, passages, seed=seed)
    assert len(drawn) == len(set(drawn))
    assert set(drawn) <= set(passages)
    if passages == ["own"]:
        assert drawn == ["own"]
    elif "own" in drawn:
        assert len(drawn) == min(DOCUMENTS, len(passages))
    else:
        assert len(drawn) == min(DOCUMENTS, len(passages) - 1)


def test_two_rows_in_five_have_the_passage_that_answers_them():
    passages = [f"passage {number}" for number in range(9)]
    asked = [sample(HARBOUR, f"Number {number}?", "yes", context=passages[number % 9]) for number in range(4000)]
    golden = sum(one.context in around(one, passages, seed=0) for one in asked) / len(asked)
    assert golden == pytest.approx(SHARE, abs=0.03)


def test_the_draw_depends_on_seed_sample_and_passages_alone():
    one = Given(TRAIN, [], seed=0)
    other = Given(TRAIN[::-1], [], seed=0)
    name = "node_datasets_gen/knowledge_towns_harbour_p10.jsonl"
    first, second, third = (exported(run)[0][name] for run in (one, other, Given(TRAIN, [], seed=1)))
    assert sorted(first.splitlines()) == sorted(second.splitlines())
    assert first != third


# --- round trips


PAIRS = st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=5, unique_by=lambda pair: pair[0])


@settings(max_examples=60)
@given(PAIRS, TEXT | st.just(""))
@example([("Who?", "Ann.", "A \x85 \u2028 text.")], "Be\x85brief. ")
def test_whatever_a_sample_says_comes_back_from_every_file(tmp_path_factory, pairs, system):
    folder = tmp_path_factory.mktemp("round")
    of_skill = [sample(LABEL, ask, answer, kind="grounded", context=text) for ask, answer, text in pairs]
    known = [sample(HARBOUR, ask, answer, context=text) for ask, answer, text in pairs]
    put(exported(Given([*of_skill, *known], []), system=system)[0], folder)
    first = (Message(role="system", content=system),) if system else ()

    def back(name):
        return [one.messages for one in read(folder / name).conversations]

    def told(user, assistant):
        return (*first, Message(role="user", content=user), Message(role="assistant", content=assistant))

    expected = [told(f"{ask}\n{text}", answer) for ask, answer, text in pairs] + [
        told(ask, answer) for ask, answer, _ in pairs
    ]
    assert back("train_gen.jsonl") == back("messages_gen.jsonl") == expected
    assert back("node_datasets_gen/compositional_skills_label.jsonl") == [(*first, *one.messages) for one in of_skill]
    phase07 = [told(f"{text}\n\n{ask}", answer) for ask, answer, text in pairs]
    assert back("knowledge_train_msgs_gen.jsonl") == back("knowledge_recipe_gen.yaml") == phase07
    assert back("node_datasets_gen/knowledge_towns_harbour_p07.jsonl") == [
        tuple(turn for turn in row if turn.role != "system") for row in phase07
    ]
    assert back("skills_train_msgs_gen.jsonl") == back("skills_recipe_gen.yaml")
    assert [row[-1].content for row in back("skills_train_msgs_gen.jsonl")] == [answer for _, answer, _ in pairs] * 3
    assert all(read(folder / "knowledge_train_msgs_gen.jsonl").conversations[0].unmask for _ in pairs)


# --- the family


def test_every_format_is_found_by_its_files_name():
    assert formats.members() == sorted(formats.members())
    for name in formats.members():
        assert issubclass(formats.find(name), formats.Format)


def test_an_unknown_format_or_option_names_what_there_is():
    with pytest.raises(InputError, match="did you mean 'instructlab'"):
        formats.build("instruct-lab", {})
    with pytest.raises(InputError) as refused:
        formats.build("hf", {"absolute_paths": True})
    assert refused.value.where == "--absolute-paths"


def test_leaves_are_read_as_the_records_that_formats_expect():
    assert all(isinstance(leaf, LeafBase) for leaf in LEAVES)
