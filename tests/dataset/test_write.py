"""The dataset's folder as its users meet it: through `datasets.load_dataset`, without a network."""

from __future__ import annotations

import pytest
import yaml
from datasets import get_dataset_config_names, load_dataset

from instructlab_like.dataset.mix import mix
from instructlab_like.dataset.rows import row
from instructlab_like.dataset.write import write
from instructlab_like.records import Row
from instructlab_like.workspace import read_records


@pytest.fixture
def cache(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setattr("datasets.config.HF_MODULES_CACHE", str(cache / "modules"))
    return str(cache)


@pytest.fixture
def knowledge(sample):
    return [sample(f"Where is tower {n}?", f"town {n}", chunk=f"{n}:0-9") for n in range(12)]


@pytest.fixture
def skills(sample):
    return [
        sample(f"What is {n} + 1?", str(n + 1), kind="freeform", method="simulation", leaf="skills/sums|odd")
        for n in range(9)
    ]


def written(folder, train, test, replay, facts):
    write(folder, mix(train, replay, share=0.25, seed=0), [row(one) for one in test], facts)
    return folder


def test_a_folder_loads_with_its_splits_and_configs(tmp_path, cache, knowledge, skills, replay, facts):
    folder = written(tmp_path / "4-dataset", knowledge[2:] + skills[1:], knowledge[:2] + skills[:1], replay, facts)
    found = load_dataset(str(folder), cache_dir=cache)
    assert {name: len(rows) for name, rows in found.items()} == {"train": 13 + 16, "test": 3}
    assert get_dataset_config_names(str(folder)) == ["default", "knowledge", "skills"]
    of_knowledge = load_dataset(str(folder), "knowledge", cache_dir=cache)["train"]
    of_skills = load_dataset(str(folder), "skills", cache_dir=cache)["train"]
    assert list(found["train"]) == list(of_knowledge) + list(of_skills)
    assert set(of_knowledge["phase"]) == {"knowledge"}


def test_a_row_comes_back_as_it_was_written(tmp_path, cache, knowledge, skills, replay, facts):
    folder = written(tmp_path / "d", knowledge + skills, [], replay, facts)
    rows = [
        *read_records(folder / "data/knowledge-train.jsonl", Row),
        *read_records(folder / "data/skills-train.jsonl", Row),
    ]
    assert [Row.model_validate(found) for found in load_dataset(str(folder), cache_dir=cache)["train"]] == rows


@pytest.mark.parametrize(
    ("train", "test", "splits"),
    [
        ("knowledge", "", {"default": ["train"], "knowledge": ["train"]}),
        ("skills", "", {"default": ["train"], "skills": ["train"]}),
        ("", "knowledge", {"default": ["test"]}),
        ("skills", "skills", {"default": ["train", "test"], "skills": ["train"]}),
    ],
)
def test_what_is_empty_is_left_out_and_the_rest_loads(
    tmp_path, cache, knowledge, skills, replay, facts, train, test, splits
):
    samples = {"knowledge": knowledge, "skills": skills, "": []}
    folder = written(tmp_path / "d", samples[train], samples[test], replay, facts)
    assert get_dataset_config_names(str(folder)) == list(splits)
    for name, parts in splits.items():
        assert list(load_dataset(str(folder), name, cache_dir=cache)) == parts


def test_a_column_that_is_null_in_one_file_and_text_in_the_next_loads(tmp_path, cache, sample, skills, facts):
    """datasets infers types from the first file alone; the card declares them."""
    bare = [sample("Where is it?", "here", chunk=None)]
    asked = skills[0].model_copy(update={"lineage": skills[0].lineage.model_copy(update={"template": "skill/ask.j2"})})
    folder = written(tmp_path / "d", [*bare, asked], [], [], facts)
    assert load_dataset(str(folder), cache_dir=cache)["train"]["template"][:] == [None, "skill/ask.j2"]


def test_rows_of_an_earlier_dataset_do_not_linger(tmp_path, knowledge, skills, replay, facts):
    folder = written(tmp_path / "d", knowledge + skills, knowledge[:1], replay, facts)
    written(folder, skills, [], replay, facts)
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == ["README.md", "skills-train.jsonl"]


def test_the_same_input_gives_the_same_bytes_wherever_it_is_written(tmp_path, knowledge, skills, replay, facts):
    folders = [written(tmp_path / name, knowledge + skills, knowledge[:1], replay, facts) for name in ("a", "b/c")]
    contents = [{p.relative_to(f).as_posix(): p.read_bytes() for p in f.rglob("*") if p.is_file()} for f in folders]
    assert contents[0] == contents[1]
    assert len(contents[0]) == 4


def test_a_dataset_without_rows_says_so(tmp_path, facts):
    folder = written(tmp_path / "d", [], [], [], facts)
    text = (folder / "README.md").read_text()
    assert "configs:" not in text
    assert "Nothing to load: no sample was kept." in text


def test_the_card_tells_leaves_filters_and_splits(tmp_path, knowledge, skills, replay, facts):
    folder = written(tmp_path / "d", knowledge[2:] + skills, knowledge[:2], replay, facts)
    text = (folder / "README.md").read_text()
    told = yaml.safe_load(text.split("---\n")[1])
    assert told["license"] == "other"
    assert told["size_categories"] == ["n<1K"]
    assert "synthetic" in told["tags"]
    assert "language" not in told
    assert "| knowledge/tides | 30 | 20 | 10 | 2 |" in text
    assert "| skills/sums\\|odd | 9 | 9 | 9 | 0 |" in text
    assert "| grounded 1 | threshold 0.7, names true | 39 | 29 | 10 |" in text
    assert "| rules | rules/1 | 12 |" in text
    assert "| data/test.jsonl | 2 | 0 |" in text


def test_known_licences_stand_in_the_front_matter(tmp_path, knowledge, facts):
    for licenses, shown in (
        (("Apache-2.0",), "apache-2.0"),
        (("Apache-2.0", "CC-BY-SA-4.0"), ["apache-2.0", "cc-by-sa-4.0"]),
    ):
        folder = written(tmp_path / "d", knowledge, [], [], facts.model_copy(update={"licenses": licenses}))
        assert yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])["license"] == shown
