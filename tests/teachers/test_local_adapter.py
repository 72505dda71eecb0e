"""The local teacher with a LoRA adapter on its model."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from instructlab_like.errors import ModelError, RecipeError  # noqa: E402
from instructlab_like.recipe import GenerateRecipe, TeacherRecipe, load  # noqa: E402
from instructlab_like.records import Completion, Lineage, Message, Prompt, Sampling  # noqa: E402
from instructlab_like.teachers.local import LocalTeacher  # noqa: E402


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_chat_model import save_base

    torch.set_num_threads(1)
    return save_base(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def adapter(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that changes what the model says: random matrices of rank 4 on all its layers."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    told = LoraConfig(r=4, lora_alpha=64, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    worn = get_peft_model(AutoModelForCausalLM.from_pretrained(model), told)
    folder = tmp_path_factory.mktemp("adapter")
    worn.save_pretrained(folder)
    return folder


def opened(model: Path, adapter: Path | None) -> LocalTeacher:
    return LocalTeacher(TeacherRecipe(kind="local", model=str(model), adapter=str(adapter) if adapter else None))


def answer(teacher: LocalTeacher, text: str = "The spider has") -> Completion:
    lineage = Lineage(leaf="a", leaf_blob="b", method="teacher", model="local")
    told = Prompt(
        messages=(Message(role="user", content=text),),
        sampling=Sampling(max_tokens=12, temperature=0),
        yields=("a",),
        lineage=lineage,
    )

    async def session() -> Completion:
        try:
            return await teacher.answer(told)
        finally:
            await teacher.close()

    return asyncio.run(session())


def test_it_says_what_base_and_adapter_say_merged_into_one(model: Path, adapter: Path, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    worn = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(model), adapter)
    merged = Path(shutil.copytree(model, tmp_path / "merged"))
    worn.merge_and_unload().save_pretrained(merged)
    said = answer(opened(model, adapter)).text
    assert said == answer(opened(merged, None)).text
    assert said != answer(opened(model, None)).text


def test_its_identity_is_of_both_and_of_their_bytes_alone(model: Path, adapter: Path, tmp_path: Path) -> None:
    elsewhere = Path(shutil.copytree(adapter, tmp_path / "elsewhere"))
    bare, worn = opened(model, None).identity, opened(model, adapter).identity
    assert worn.startswith(f"{bare}+")
    (elsewhere / "README.md").write_text("a card")
    assert opened(model, elsewhere).identity == worn
    config = json.loads((elsewhere / "adapter_config.json").read_text()) | {"lora_alpha": 8}
    (elsewhere / "adapter_config.json").write_text(json.dumps(config))
    assert opened(model, elsewhere).identity != worn


@pytest.mark.parametrize(
    ("file", "told", "said"),
    [
        ("adapter_model.safetensors", None, "is no adapter: adapter_model.safetensors is missing"),
        ("adapter_config.json", None, "is no adapter: adapter_config.json is missing"),
        ("adapter_config.json", "{", "is not JSON"),
        ("adapter_config.json", '{"peft_type": "IA3"}', "is no LoRA adapter"),
        ("adapter_config.json", '{"peft_type": "LORA", "auto_mapping": {"x": 1}}', "asks for code of its own"),
    ],
)
def test_what_is_no_adapter_is_refused_before_the_first_question(
    model: Path, adapter: Path, tmp_path: Path, file: str, told: str | None, said: str
) -> None:
    folder = Path(shutil.copytree(adapter, tmp_path / "broken"))
    (folder / file).unlink()
    if told is not None:
        (folder / file).write_text(told)
    with pytest.raises(ModelError) as caught:
        opened(model, folder)
    assert said in str(caught.value)


def test_an_adapter_of_another_model_is_named(adapter: Path, tmp_path: Path) -> None:
    from tiny_chat_model import save_base

    other = save_base(tmp_path / "other", hidden=64)
    with pytest.raises(ModelError, match="the adapter does not fit"):
        answer(opened(other, adapter))


def test_a_served_teacher_has_none(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("generate: {teacher: {url: 'http://127.0.0.1:9/v1', model: m, adapter: a}}\n")
    with pytest.raises(RecipeError, match="say kind: local"):
        load(GenerateRecipe, path, {})
