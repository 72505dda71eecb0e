"""Datasets for other trainers against their documented schemas, which stand here as strict records.

Sources: TRL 1.16 docs "Dataset formats"; axolotl 0.19 docs "Conversation"; LLaMA-Factory 0.9.5 data/README.md; OpenAI's
OpenAPI description (FineTuneChatRequestInput, FineTunePreferenceRequestInput) and its fine-tuning guide; Unsloth's
notebooks.
Their own code reads the same files in test_trainer_loaders.py, where it is installed.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

import pytest
import yaml
from finished_run import Given, exported
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from trainer_run import BLANK, LONG, MARKS, ODD, OWN, PAIRS, SEVERAL, Trained, in_phase, turns

from instructlab_like.dataset.card import KNOWLEDGE, SKILLS, TEST
from instructlab_like.errors import InputError

TRAINERS = ["trl", "axolotl", "llama-factory", "unsloth", "openai"]
Text = Annotated[str, Field(min_length=1)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Turn(Strict):
    role: Literal["system", "user", "assistant"]
    content: Text


class Answer(Strict):
    role: Literal["assistant"]
    content: Text


class Descended(Strict):
    sample: Text
    leaf: Text
    phase: Literal["knowledge", "skills"]


class PairDescended(Strict):
    sample: Text
    rejected_sample: Text
    leaf: Text


class Messages(Descended):
    messages: Annotated[list[Turn], Field(min_length=2)]


class PromptCompletion(Descended):
    prompt: Annotated[list[Turn], Field(min_length=1)]
    completion: Annotated[list[Answer], Field(min_length=1, max_length=1)]


class Conversations(Descended):
    conversations: Annotated[list[Turn], Field(min_length=2)]


class ListedPair(PairDescended):
    prompt: Annotated[list[Turn], Field(min_length=1)]
    chosen: Annotated[list[Answer], Field(min_length=1, max_length=1)]
    rejected: Annotated[list[Answer], Field(min_length=1, max_length=1)]


class TurnPair(PairDescended):
    messages: Annotated[list[Turn], Field(min_length=1)]
    chosen: Answer
    rejected: Answer


class OpenAIChat(Strict):
    messages: Annotated[list[Turn], Field(min_length=2)]


class OpenAIInput(Strict):
    messages: Annotated[list[Turn], Field(min_length=1)]


class OpenAIPair(Strict):
    input: OpenAIInput
    preferred_output: Annotated[list[Answer], Field(min_length=1, max_length=1)]
    non_preferred_output: Annotated[list[Answer], Field(min_length=1, max_length=1)]


ROWS = {"trl": Messages, "axolotl": Messages, "llama-factory": Messages, "unsloth": Conversations, "openai": OpenAIChat}
PAIR_ROWS = {
    "trl": ListedPair,
    "axolotl": TurnPair,
    "llama-factory": TurnPair,
    "unsloth": ListedPair,
    "openai": OpenAIPair,
}


def rows(data: bytes, kind: type[Strict]) -> list:
    """As any reader splits lines; a line too many would be no JSON."""
    return [kind.model_validate_json(line) for line in data.decode().splitlines()]


def said(row) -> list[dict[str, str]]:
    told = getattr(row, "messages", None) or getattr(row, "conversations", None)
    return [turn.model_dump() for turn in told]


@pytest.mark.parametrize("name", TRAINERS)
def test_every_row_of_a_phase_stands_in_its_file_as_the_trainer_reads_it(name):
    run = Trained()
    files, _ = exported(run, name, phases="apart")
    for phase in ("knowledge", "skills"):
        found = rows(files[f"{phase}-train.jsonl"], ROWS[name])
        assert [said(row) for row in found] == [turns(row) for row in in_phase(run, phase)]
    assert [said(row) for row in rows(files["test.jsonl"], ROWS[name])] == [turns(row) for row in run.rows(TEST)]
    assert any(
        turn["content"] == MARKS for row in rows(files["knowledge-train.jsonl"], ROWS[name]) for turn in said(row)
    )


@pytest.mark.parametrize("name", TRAINERS)
def test_phases_together_are_one_file_in_which_a_repeated_sample_stands_once(name):
    run = Trained()
    files, _ = exported(run, name, phases="together")
    assert {file for file in files if file.endswith("train.jsonl")} == {"train.jsonl"}
    known, skills = in_phase(run, "knowledge"), in_phase(run, "skills")
    assert skills[-1].sample in {row.sample for row in known}
    assert [said(row) for row in rows(files["train.jsonl"], ROWS[name])] == [
        turns(row) for row in [*known, *skills[:-1]]
    ]


@pytest.mark.parametrize("name", TRAINERS)
def test_pairs_are_written_where_there_are_some(name):
    files, _ = exported(Trained(), name)
    found = rows(files["preferences.jsonl"], PAIR_ROWS[name])
    assert len(found) == len(PAIRS)
    text = files["preferences.jsonl"].decode()
    assert "In 1901." in text.splitlines()[0]
    assert "Nobody knows." in text.splitlines()[0]
    without, _ = exported(Trained(pairs=[]), name)
    assert not [file for file in without if "preference" in file]
    assert "preference" not in without["README.md"].decode().replace("preference pairs", "")


@pytest.mark.parametrize("name", TRAINERS)
def test_a_system_prompt_goes_to_rows_that_have_none(name):
    files, _ = exported(Trained(), name, system="You know the harbour.", phases="apart")
    first = [said(row)[0] for row in rows(files["skills-train.jsonl"], ROWS[name])]
    assert {turn["role"] for turn in first} == {"system"}
    assert [turn["content"] for turn in first].count("You are brief.") == 1
    pairs = files["preferences.jsonl"].decode().splitlines()
    assert "You know the harbour." in pairs[0]
    assert "You know the harbour." not in pairs[1]


@pytest.mark.parametrize("name", TRAINERS)
def test_each_row_leads_back_to_its_sample(name):
    run = Trained()
    files, _ = exported(run, name, phases="apart")
    wanted = [(row.sample, row.leaf) for row in in_phase(run, "skills")]
    if name != "openai":
        found = [(row.sample, row.leaf) for row in rows(files["skills-train.jsonl"], ROWS[name])]
    else:
        told = [json.loads(line) for line in files["lineage.jsonl"].decode().splitlines()]
        found = [(one["sample"], one["leaf"]) for one in told if one["file"] == "skills-train.jsonl"]
        assert [one["line"] for one in told if one["file"] == "skills-train.jsonl"] == list(range(1, len(wanted) + 1))
    assert found == wanted


@pytest.mark.parametrize("name", TRAINERS)
def test_what_is_left_out_or_may_be_cut_is_said(name):
    files, notes = exported(Trained(added=(SEVERAL, OWN, ODD, BLANK)), name, phases="apart")
    written = [said(row) for row in rows(files["skills-train.jsonl"], ROWS[name])]
    assert turns(BLANK) not in written
    assert "skills-train.jsonl: 1 rows are left out in which a turn says nothing" in notes
    assert (turns(ODD) in written) == (name != "llama-factory")
    odd = "skills-train.jsonl: 1 rows are left out whose turns are not user and assistant in turn"
    assert (odd in notes) == (name == "llama-factory")
    (cut,) = [note for note in notes if "rows are long" in note]
    assert f"skills-train.jsonl: 1 rows are long, up to {len(LONG.question) + len(LONG.answer):,} characters" in cut


def test_a_run_without_long_or_odd_rows_has_nothing_to_say():
    run = Trained(added=())
    run._rows["data/skills-train.jsonl"] = [row for row in in_phase(run, "skills") if row.sample != LONG.id]
    for name in TRAINERS[:-1]:
        assert exported(run, name)[1] == ()


@pytest.mark.parametrize("name", TRAINERS)
def test_the_same_run_gives_the_same_bytes_in_any_folder(name, tmp_path):
    assert exported(Trained(), name, tmp_path / "a") == exported(Trained(), name, tmp_path / "b" / "c")


@pytest.mark.parametrize("name", TRAINERS)
def test_the_card_has_the_license_and_the_rows_of_each_file(name):
    files, _ = exported(Trained(), name, phases="apart")
    card = files["README.md"].decode()
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["license"] == "cc-by-4.0"
    assert f"| `skills-train.jsonl` | {len(in_phase(Trained(), 'skills'))} |" in card
    assert "*id" not in card.split("---\n")[1]  # no YAML aliases: the hub's viewer takes plain lists


@pytest.mark.parametrize("name", TRAINERS)
def test_a_phase_without_rows_has_no_file_and_no_entry(name):
    run = Trained()
    run._rows["data/knowledge-train.jsonl"] = []
    files, _ = exported(run, name, phases="apart")
    assert not [file for file in files if "knowledge" in file]
    assert "knowledge" not in files.get("dataset_info.json", b"").decode()


def test_a_card_tells_of_one_phase_only_where_there_are_two():
    for name in ("trl", "unsloth"):
        apart, together = (exported(Trained(), name, phases=phases)[0] for phases in ("apart", "together"))
        assert 'load_dataset(".", "skills")' in apart["README.md"].decode()
        assert 'load_dataset(".", "skills")' not in together["README.md"].decode()


def test_prompt_completion_has_the_last_answer_alone_as_completion():
    files, notes = exported(Trained(), "trl", rows="prompt-completion")
    assert not any("no rows to train on" in note for note in notes)
    found = rows(files["skills-train.jsonl"], PromptCompletion)
    assert [[turn.model_dump() for turn in (*row.prompt, *row.completion)] for row in found] == [
        turns(row) for row in in_phase(Trained(), "skills")
    ]
    assert "1 rows have several answers, of which only the last is learnt; --rows messages: all" in notes


# --- what stands beside the rows --------------------------------------------------------------------------------


class AxolotlDataset(Strict):
    """The keys of `datasets:` that a chat template needs."""

    path: Text
    ds_type: Literal["json"]
    split: Literal["train"]
    type: Literal["chat_template"]
    field_messages: Literal["messages"]
    message_property_mappings: dict[Literal["role", "content"], Literal["role", "content"]]
    roles_to_train: list[Literal["assistant"]]
    train_on_eos: Literal["all", "turn", "last", "none"]


class AxolotlPairs(Strict):
    path: Literal["preferences.jsonl"]
    ds_type: Literal["json"]
    split: Literal["train"]
    type: Literal["chat_template.default"]
    field_messages: Literal["messages"]
    field_chosen: Literal["chosen"]
    field_rejected: Literal["rejected"]
    message_property_mappings: dict[Literal["role", "content"], Literal["role", "content"]]


def test_axolotls_yaml_names_files_that_are_there(tmp_path):
    files, _ = exported(Trained(), "axolotl", tmp_path / "a b")
    for phase in ("knowledge", "skills"):
        told = yaml.safe_load(files[f"axolotl-{phase}.yml"])
        assert sorted(told) == ["chat_template", "datasets", "test_datasets"]
        (one,) = TypeAdapter(list[AxolotlDataset]).validate_python(told["datasets"])
        (test,) = TypeAdapter(list[AxolotlDataset]).validate_python(told["test_datasets"])
        assert one.path == f"{phase}-train.jsonl"
        assert {one.path, test.path} <= set(files)
    told = yaml.safe_load(files["axolotl-preferences.yml"])
    assert told["rl"] == "dpo"
    TypeAdapter(list[AxolotlPairs]).validate_python(told["datasets"])
    whole, _ = exported(Trained(), "axolotl", tmp_path / "a b", absolute_paths=True)
    told = yaml.safe_load(whole["axolotl-skills.yml"])
    assert told["datasets"][0]["path"] == str(tmp_path / "a b" / "skills-train.jsonl")


class Tags(Strict):
    role_tag: Literal["role"]
    content_tag: Literal["content"]
    user_tag: Literal["user"]
    assistant_tag: Literal["assistant"]
    system_tag: Literal["system"]


class Entry(Strict):
    file_name: Text
    formatting: Literal["sharegpt"]
    ranking: bool = False
    columns: dict[Literal["messages", "chosen", "rejected"], str]
    tags: Tags


def test_llama_factorys_entries_name_files_that_are_there():
    files, _ = exported(Trained(), "llama-factory", prefix="mine")
    found = TypeAdapter(dict[str, Entry]).validate_json(files["dataset_info.json"])
    assert list(found) == ["mine_knowledge", "mine_skills", "mine_test", "mine_preferences"]
    assert {entry.file_name for entry in found.values()} <= set(files)
    assert [entry.ranking for entry in found.values()] == [False, False, False, True]
    assert "dataset: mine_knowledge" in files["README.md"].decode()


def test_openais_limits_are_held_against_the_files(monkeypatch):
    files, notes = exported(Trained(), "openai")
    assert not [note for note in notes if "OpenAI takes" in note]
    _, notes = exported(Trained(), "openai", phases="apart")
    assert f"knowledge-train.jsonl: {len(in_phase(Trained(), 'knowledge'))} rows; OpenAI takes at least 10" in notes
    monkeypatch.setattr("instructlab_like.dataset.formats.openai.LARGEST", 1000)
    _, notes = exported(Trained(), "openai")
    assert f"train.jsonl: {len(files['train.jsonl']):,} bytes; OpenAI takes 1,000 at most: split it" in notes


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("trl", {"rows": "text"}, "rows: Input should be 'messages' or 'prompt-completion'"),
        ("axolotl", {"phases": "both"}, "phases: Input should be 'apart' or 'together'"),
        ("llama-factory", {"prefix": "../x"}, "prefix: String should match pattern"),
        ("openai", {"system": "a\udcffb"}, "system: Value error, is not UTF-8"),
        ("unsloth", {"rows": "messages"}, "has no such option"),
    ],
)
def test_a_wrong_option_is_one_message(name, options, told):
    with pytest.raises(InputError, match=told.replace("(", r"\(")):
        exported(Given([], []), name, **options)


@pytest.mark.parametrize("name", TRAINERS)
def test_a_run_without_training_rows_is_said_to_have_none(name: str) -> None:
    run = Trained(pairs=())
    for phase in (KNOWLEDGE, SKILLS):
        run._rows[phase] = []
    files, notes = exported(run, name)
    assert any("no rows to train on" in note for note in notes)
    assert not [file for file in files if "train" in file]
