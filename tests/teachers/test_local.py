"""The local teacher on a tiny random model."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from instructlab_like.errors import ModelError, RefusedError, TeacherError  # noqa: E402
from instructlab_like.recipe import TeacherRecipe  # noqa: E402
from instructlab_like.records import Completion, Lineage, Message, Prompt, Sampling  # noqa: E402
from instructlab_like.teachers.local import LocalTeacher  # noqa: E402
from instructlab_like.teachers.probe import ProbeCall  # noqa: E402


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_chat_model import save_base

    torch.set_num_threads(1)
    return save_base(tmp_path_factory.mktemp("model"))


def prompt(text: str = "The spider has", **sampling: object) -> Prompt:
    lineage = Lineage(leaf="a", leaf_blob="b", method="teacher", model="local")
    told = Sampling(**{"max_tokens": 12, **sampling})
    return Prompt(messages=(Message(role="user", content=text),), sampling=told, yields=("a",), lineage=lineage)


def opened(folder: Path) -> LocalTeacher:
    return LocalTeacher(TeacherRecipe(kind="local", model=str(folder)))


def answers(folder: Path, *prompts: Prompt) -> list[Completion]:
    async def session() -> list[Completion]:
        teacher = opened(folder)
        try:
            return list(await asyncio.gather(*map(teacher.answer, prompts)))
        finally:
            await teacher.close()

    return asyncio.run(session())


def greedy(folder: Path, text: str, count: int) -> str:
    """What the model says, token by token, without transformers' generation."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, network = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": text}], add_generation_prompt=True, return_dict=False
    )
    asked = len(ids)
    for _ in range(count):
        ids.append(int(network(torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] == tokenizer.eos_token_id:
            break
    return tokenizer.decode(ids[asked:], skip_special_tokens=True)


def test_temperature_zero_takes_the_likeliest_token_each_time(model: Path) -> None:
    completion = answers(model, prompt(temperature=0))[0]
    assert completion.text == greedy(model, "The spider has", 12)
    assert completion.key == prompt(temperature=0).key
    assert completion.completion_tokens == 12
    assert completion.finish_reason == "length"


def test_the_models_own_generation_settings_do_not_leak_in(model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(model, tmp_path / "m")
    told = json.loads((folder / "generation_config.json").read_text())
    told |= {"do_sample": True, "temperature": 5.0, "repetition_penalty": 9.0, "max_new_tokens": 2}
    (folder / "generation_config.json").write_text(json.dumps(told))
    assert answers(folder, prompt(temperature=0))[0].text == greedy(model, "The spider has", 12)


def test_a_seed_decides_what_is_drawn(model: Path) -> None:
    one, same, other = answers(model, *(prompt(temperature=1.5, seed=seed) for seed in (1, 1, 2)))
    assert one == same
    assert one.text != other.text


def test_drawing_leaves_torch_as_it_was(model: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    answers(model, prompt(temperature=1.0, seed=1))
    assert torch.equal(torch.rand(3), expected)


def test_a_stop_string_ends_the_answer_and_is_not_part_of_it(model: Path) -> None:
    whole = answers(model, prompt(temperature=0))[0].text
    stop = whole[5:7]
    cut = answers(model, prompt(temperature=0, stop=(stop,)))[0]
    assert cut.text == whole[: whole.index(stop)]
    assert cut.finish_reason == "stop"


def test_control_tokens_in_a_document_stay_text(model: Path) -> None:
    ids = opened(model).encoded(prompt("a<|end|>b"))["input_ids"][0].tolist()
    assert ids.count(4) == 1  # <|end|>, once, after the message


def test_the_identity_follows_the_content_and_not_the_name(model: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(model, tmp_path / "renamed")
    assert opened(copy).identity == opened(model).identity
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    assert opened(copy).identity != opened(model).identity


def test_a_prompt_longer_than_the_context_is_refused(model: Path) -> None:
    with pytest.raises(RefusedError, match=r"a prompt has \d+ tokens, and the context holds 512") as caught:
        answers(model, prompt("word " * 600))
    assert not caught.value.sent


def test_what_it_can_do_is_known_without_asking(model: Path) -> None:
    calls: list[ProbeCall] = []

    async def record(call: ProbeCall) -> None:
        calls.append(call)

    teacher = opened(model)
    found = asyncio.run(teacher.probe(record))
    assert (found.seed.able, found.logprobs.able, found.n.able, found.json_schema.able) == ("yes", "no", "no", "no")
    assert (calls, teacher.capacity, teacher.notices) == ([], 1, [])


def test_an_interrupted_answer_ends_its_thread(model: Path) -> None:
    async def session() -> None:
        teacher = opened(model)
        asking = asyncio.create_task(teacher.answer(prompt(temperature=1.0, max_tokens=500)))
        while teacher.model is None:
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        with pytest.raises(TeacherError, match="was interrupted"):
            await teacher.answer(prompt())

    asyncio.run(session())


def without(model: Path, folder: Path, *names: str) -> Path:
    copy = shutil.copytree(model, folder / "m")
    for name in names:
        (copy / name).unlink()
    return copy


def test_a_path_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        opened(tmp_path / "none")
    assert str(caught.value).startswith(f"{tmp_path / 'none'}: there is no such model folder")


def test_a_model_without_a_chat_template_is_no_teacher(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has no chat template"):
        opened(without(model, tmp_path, "chat_template.jinja"))


def test_a_model_without_safetensors_is_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no \*\.safetensors"):
        opened(without(model, tmp_path, "model.safetensors"))


def test_a_damaged_model_is_refused(model: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(model, tmp_path / "m")
    (copy / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0nonsense")
    with pytest.raises(ModelError, match="its model cannot be read"):
        answers(copy, prompt())


def test_a_model_that_brings_its_own_code_is_refused(model: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(model, tmp_path / "m")
    config = json.loads((copy / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModelForCausalLM": "mine.Model"}}
    (copy / "config.json").write_text(json.dumps(config))
    marker = tmp_path / "ran"
    (copy / "mine.py").write_text(f"open({str(marker)!r}, 'w')")
    with pytest.raises(ModelError):
        answers(copy, prompt())
    assert not marker.exists()
