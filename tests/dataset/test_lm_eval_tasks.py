"""Tasks for lm-evaluation-harness: whole, safe to move, free of templates, and scored as `ilk evaluate` scores."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.dataset import formats
from instructlab_like.dataset.formats import Asked
from instructlab_like.dataset.formats.lm_eval import TEMPLATES
from instructlab_like.dataset.lm_eval.names import LONGEST, names
from instructlab_like.errors import InputError
from instructlab_like.evaluation import choices, score
from instructlab_like.evaluation.items import item_id
from instructlab_like.records import Item
from instructlab_like.stages.exporting.export import as_asked

HOSTILE = '{{ 7*7 }}{% for x in range(9) %}x{% endfor %}\n---\n!function os.system "\u2028é'
TOWN, ODD, LABEL = "knowledge/towns/harbour", "knowledge/it's: {{odd}}", "compositional_skills/label"


def item(leaf: str, question: str, answer: str, **more) -> Item:
    number = item_id(leaf, question, more.get("context"))
    return Item(id=number, leaf=leaf, source="heldout", question=question, answer=answer, **more)


ITEMS = [
    item(TOWN, "When was the Gull built?", "1901", metric="number"),
    item(TOWN, HOSTILE, "12", context=HOSTILE, accept=("twelve",)),
    item(TOWN, "Which is red?", "Gull", metric="choice", options=("Tern", "Gull", HOSTILE)),
    item(TOWN, "Tell of it.", "It is old.", metric="perplexity"),
    item(TOWN, "", "The Gull was built in 1901.", metric="perplexity"),
    item(ODD, HOSTILE, "a", metric="choice", options=("a", "b")),
    item(LABEL, "Label?", "Thorn", metric="f1"),
    item(LABEL, "Write well.", "Well.", metric="judge", rubric="good"),
    item(LABEL, "Which?", " ", metric="choice", options=(" ", "a")),
    item("base/copy", "Copy: sea", "sea"),
]


class Given:
    def __init__(self, items) -> None:
        self.items = items

    def asked(self) -> Asked:
        files = (Path(one.__file__) for one in (score, choices))
        return Asked([as_asked(one) for one in self.items], 48, {file.name: file.read_bytes() for file in files})


def exported(folder: Path, items=tuple(ITEMS), **options) -> tuple[str, ...]:
    made = formats.build("lm-eval", options).export(Given(items), folder)
    folder.mkdir(parents=True)
    for file in made.files:
        assert "/" not in file.name
        (folder / file.name).write_bytes(b"".join(file.chunks))
    assert len({file.name.casefold() for file in made.files}) == len(made.files)
    return made.notes


class Loader(yaml.SafeLoader):
    """Reads a function as its name, as the harness does where it only lists tasks."""


Loader.add_constructor("!function", lambda loader, node: f"!function {loader.construct_scalar(node)}")


def told(path: Path) -> dict:
    """A task's file with what it includes, as the harness puts them together."""
    found = yaml.load(path.read_bytes(), Loader=Loader)
    include = found.pop("include", None)
    return (told(path.parent / include) if include else {}) | found


def tasks_of(folder: Path) -> dict[str, dict]:
    return {path.stem: told(path) for path in sorted(folder.glob("*.yaml"))}


def rows(folder: Path, task: dict) -> list[dict]:
    data = (folder / task["dataset_kwargs"]["rows"]).read_text(encoding="utf-8")
    return [json.loads(line) for line in data.split("\n") if line]


def loaded(folder: Path, name: str = "tasks") -> ModuleType:
    spec = spec_from_file_location(f"exported_{name}", folder / f"{name}.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def out(tmp_path: Path) -> Path:
    exported(tmp_path / "out")
    return tmp_path / "out"


def test_every_item_but_those_the_harness_cannot_ask_is_in_one_task(tmp_path: Path) -> None:
    notes = exported(tmp_path / "out")
    found = tasks_of(tmp_path / "out")
    asked = [row["id"] for task in found.values() if "group" not in task for row in rows(tmp_path / "out", task)]
    left = {one.id for one in ITEMS if one.metric == "judge" or not one.answer.strip()}
    assert sorted(asked) == sorted(one.id for one in ITEMS if one.id not in left)
    assert notes == (
        f"{LABEL}: questions left out: 1, for a judge, which the harness does not have",
        f"{LABEL}: questions left out: 1, in which something is empty",
    )


def test_texts_reach_the_model_by_field_and_never_as_a_template(out: Path) -> None:
    for task in tasks_of(out).values():
        if "group" in task:
            continue
        documents = rows(out, task)
        for key in ("doc_to_text", "doc_to_target", "doc_to_choice"):
            assert task.get(key, "prompt") in documents[0]  # a field's name, which the harness takes as it is
        assert set(task) <= {
            *("task", "task_alias", "class", "output_type", "custom_dataset", "dataset_kwargs", "test_split"),
            *("num_fewshot", "doc_to_text", "doc_to_target", "doc_to_choice", "generation_kwargs", "process_results"),
            *("metric_list", "metadata"),
        }
    (hostile,) = [row for row in rows(out, tasks_of(out)["ilk_knowledge_towns_harbour"]) if row["answer"] == "12"]
    assert hostile["prompt"] == f"{HOSTILE}\n\n{HOSTILE}"


def test_options_are_weighed_and_not_listed(out: Path) -> None:
    (row,) = [row for row in rows(out, tasks_of(out)["ilk_knowledge_towns_harbour"]) if row["metric"] == "choice"]
    assert (row["prompt"], row["options"], row["answer"]) == ("Which is red?", ["Tern", "Gull", HOSTILE], "Gull")


def test_groups_mirror_the_tree_and_every_leaf_counts_the_same(out: Path) -> None:
    found = tasks_of(out)
    groups = {name: task["task"] for name, task in found.items() if "group" in task}
    (odd,) = [name for name, task in found.items() if task.get("task_alias") == ODD]
    assert re.fullmatch(r"ilk_knowledge_it-s-odd-?-[0-9a-f]{8}", odd)
    assert groups == {
        "ilk": ["ilk_knowledge", "ilk_compositional_skills"],
        "ilk_knowledge": ["ilk_knowledge_towns", odd],
        "ilk_knowledge_towns": ["ilk_knowledge_towns_harbour"],
        "ilk_compositional_skills": ["ilk_compositional_skills_label"],
        "ilk_base": ["ilk_base_copy"],
        "ilk_perplexities": ["ilk_knowledge_towns_harbour_perplexity", "ilk_knowledge_towns_harbour_text_perplexity"],
    }
    for name in groups.keys() - {"ilk_perplexities"}:
        (mean,) = found[name]["aggregate_metric_list"]
        assert (mean["metric"], mean["weight_by_size"]) == ("score", False)
    assert "aggregate_metric_list" not in found["ilk_perplexities"]


def test_each_kind_of_item_is_asked_in_its_own_way(out: Path) -> None:
    found = tasks_of(out)
    kinds = {
        "ilk_knowledge_towns_harbour": ("generate_until", "either"),
        "ilk_compositional_skills_label": ("generate_until", "text"),
        "ilk_knowledge_towns_harbour_perplexity": ("loglikelihood", "perplexity"),
        "ilk_knowledge_towns_harbour_text_perplexity": ("loglikelihood_rolling", "perplexity"),
    }
    for name, (form, scored) in kinds.items():
        assert (found[name]["output_type"], found[name]["process_results"]) == (form, f"!function tasks.{scored}")
    assert found["ilk_knowledge_towns_harbour"]["class"] == "!function tasks.Leaf"
    assert found["ilk_compositional_skills_label"]["generation_kwargs"] == {
        "do_sample": False,
        "max_gen_toks": 48,
        "repetition_penalty": 1.0,
        "until": [],
    }


def test_every_function_a_task_names_is_there(out: Path) -> None:
    module = loaded(out)
    named = {name for path in out.iterdir() for name in re.findall(r"!function tasks\.(\w+)\n", path.read_text())}
    assert named == {"documents", "text", "choice", "either", "perplexity", "Leaf"}
    assert all(callable(getattr(module, name)) for name in named - {"Leaf"})  # a class of the harness's own
    assert {path.name.removeprefix("_") for path in out.glob("_*")} == set(TEMPLATES)


def test_documents_are_found_wherever_the_folder_is_moved(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = out.rename(tmp_path / "else where")
    monkeypatch.chdir(tmp_path)
    documents = loaded(moved).documents(rows="ilk_base_copy.jsonl", version=1, pretrained="of the command line")
    assert [(row["prompt"], row["answer"], row["options"]) for row in documents["test"]] == [("Copy: sea", "sea", [])]
    assert not [path for path in moved.iterdir() if str(tmp_path).encode() in path.read_bytes()]


def test_the_exported_code_needs_nothing_of_this_package(out: Path) -> None:
    code = (
        "import sys; sys.dont_write_bytecode = True; sys.path.insert(0, '.'); import tasks\n"
        "print(tasks.text({'metric': 'exact', 'answer': 'The Gull', 'accept': []}, ['gull.']))\n"
        "print(tasks.choice({'options': ['a', 'bbbb'], 'answer': 'bbbb'}, [(-3.0, False), (-4.0, False)]))\n"
        "print([name for name in sys.modules if name.startswith('instructlab_like')])"
    )
    done = subprocess.run(  # -S: no installed package can be imported
        [sys.executable, "-I", "-S", "-c", code], cwd=out, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["{'score': 1.0}", "{'score': 1.0}", "[]"]


WORDS = st.lists(st.sampled_from(["the", "Gull", "7", "-7", "1,000", "3.5", "é", "twelve", "12", "->", " "]))
PHRASE = WORDS.map(" ".join)


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    folder = tmp_path_factory.mktemp("tasks") / "out"
    exported(folder)
    return loaded(folder)


@given(PHRASE, st.lists(PHRASE, max_size=2), PHRASE, st.sampled_from(["exact", "f1", "contains", "number"]))
def test_a_written_answer_has_the_score_that_evaluate_gives(module, answer, accept, text, metric) -> None:
    one = item(TOWN, "?", answer, accept=tuple(accept), metric=metric)
    row = {"metric": metric, "answer": answer, "accept": accept}
    assert module.text(row, [f" {text}\n"]) == module.either(row, [text]) == {"score": score.score(one, text.strip())}


@given(st.lists(st.tuples(st.text(min_size=1, max_size=4), st.sampled_from([0.5, 1.0, 2.0, 4.0])), min_size=2))
def test_a_choice_is_taken_as_evaluate_takes_it(module, weighed) -> None:
    options, nats = [option for option, _ in weighed], [loss for _, loss in weighed]
    right = options[choices.pick(options, nats)]
    row = {"metric": "choice", "options": options, "answer": right}
    results = [(-loss, False) for loss in nats]
    assert module.choice(row, results) == module.either(row, results) == {"score": 1.0}
    assert module.choice(row | {"answer": right + "!"}, results) == {"score": 0.0}


def test_numbers_that_decide_nothing_are_no_zero(module) -> None:
    found = module.choice({"options": ["a", "b"], "answer": "a"}, [(float("nan"), False), (-1.0, False)])
    assert found["score"] != found["score"]


def test_bits_a_byte_are_of_the_answer_alone(module) -> None:
    assert module.perplexity({"answer": "é!"}, [(-2.0, False)]) == {"bits_per_byte": (-2.0, 3)}
    assert module.perplexity({"answer": "é!"}, [-2.0]) == {"bits_per_byte": (-2.0, 3)}


PATHS = st.lists(st.text("ab_/ {é", min_size=1, max_size=6), min_size=1, max_size=8, unique=True)


@given(PATHS, st.sampled_from(["", "perplexity"]))
def test_names_are_safe_and_every_one_is_another(paths, behind) -> None:
    wanted = [*((("task", path), "") for path in paths), *((("group", path), behind) for path in paths)]
    found = names(wanted, prefix="ilk")
    assert len({name.casefold() for name in found.values()}) == len(found) == len(wanted)
    assert all(re.fullmatch(r"ilk[A-Za-z0-9_-]*", name) for name in found.values())
    assert found == names(reversed(wanted), prefix="ilk")


def test_a_long_path_is_cut_and_marked() -> None:
    paths = [f"{'a/' * 200}{end}" for end in "bc"]
    found = names([(("task", path), "") for path in paths], prefix="ilk")
    assert all(len(name) == LONGEST + 9 for name in found.values())
    assert len(set(found.values())) == 2


def test_a_prefix_of_ones_own_is_in_every_name(tmp_path: Path) -> None:
    exported(tmp_path / "out", prefix="v2")
    assert all(
        path.name.startswith(("v2", "_", "tasks.", "score.", "choices.")) for path in (tmp_path / "out").iterdir()
    )


def test_a_run_with_nothing_to_ask_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no held-out question that the harness could ask"):
        exported(tmp_path / "out", [one for one in ITEMS if one.metric == "judge"])
