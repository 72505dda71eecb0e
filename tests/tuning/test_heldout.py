from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, PeftModel, get_peft_model
from tiny_chat_model import make_model, make_tokenizer

from instructlab_like.errors import InputError, StoppedError
from instructlab_like.recipe import TrainRecipe
from instructlab_like.tuning.heldout import IN_ALL, OF_A_LEAF, HeldOut, at_rest, draw, share
from instructlab_like.tuning.loss import FloatArray, token_losses
from instructlab_like.tuning.measures import BASELINE, HeldOutLoss
from instructlab_like.tuning.separate import PACKED, forward, lay
from instructlab_like.tuning.tokens import Chat, Encoded
from instructlab_like.workspace import read_records, write_records

CPU = torch.device("cpu")
COLOURS = ("red and white", "blue", "green and gold")


def row(leaf: str, number: int, answer: str, **more: object) -> dict[str, object]:
    asked = [{"role": "user", "content": f"Question {number}?"}, {"role": "assistant", "content": answer}]
    return {"messages": asked, "phase": "skills", "leaf": leaf, "sample": f"{leaf}{number}", **more}


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two leaves, one of them from two teachers, nine samples each."""
    rows = [row("knowledge/flags", number, COLOURS[number % 3], method="rules") for number in range(9)]
    rows += [row("skills/sum", number, str(7 * number), model=f"teacher{number % 2}") for number in range(9)]
    write(tmp_path / "data" / "test.jsonl", rows)
    tasks = [
        {"kind": kind, "context": "" if kind == "copying" else "The map has 75.", "question": kind, "answer": str(n)}
        for kind in ("copying", "recall")
        for n in range(4)
    ]
    write(tmp_path / "tasks.jsonl", tasks)
    return tmp_path


def write(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")


@pytest.fixture
def chat() -> Chat:
    return Chat(make_tokenizer(), "tiny")


@pytest.fixture
def held_out(dataset: Path, chat: Chat) -> HeldOut:
    return HeldOut.of(dataset, TrainRecipe(base_tasks=str(dataset / "tasks.jsonl"), row_tokens=64), chat)


def adapted(*, fresh: bool = True) -> PeftModel:
    model = make_model(hidden=64)
    model.set_attn_implementation(PACKED)
    torch.manual_seed(1)
    config = LoraConfig(
        r=4, target_modules="all-linear", lora_dropout=0.2, init_lora_weights=fresh, task_type="CAUSAL_LM"
    )
    return get_peft_model(model, config)


def alone(model: torch.nn.Module, one: Encoded) -> torch.Tensor:
    ids = torch.from_numpy(one.ids)[None]
    with torch.no_grad():
        losses = token_losses(model(input_ids=ids, use_cache=False).logits[0, :-1], ids[0, 1:])
    return losses[torch.from_numpy(one.trained[1:])].double()


def test_the_losses_are_those_of_each_sample_alone_with_the_adapter(held_out: HeldOut) -> None:
    model = adapted(fresh=False).train()
    found = held_out.measure(model, CPU, phase="skills", step=3)
    assert [(one.group, one.teacher, one.samples) for one in found] == [
        ("base", "", 8),
        ("knowledge/flags", "rules", 9),
        ("skills/sum", "teacher0", 5),
        ("skills/sum", "teacher1", 4),
    ]
    assert len(held_out.rows) < len(held_out.samples), "samples must share rows"
    model.eval()
    model.get_base_model().set_attn_implementation("eager")
    for one, places in zip(found, held_out.groups.values(), strict=True):
        solo = [alone(model, held_out.samples[place]) for place in places]
        assert (one.phase, one.step, one.tokens) == ("skills", 3, sum(map(len, solo)))
        assert one.sample_tokens == tuple(map(len, solo))
        assert one.sample_nats == pytest.approx([float(losses.sum()) for losses in solo], rel=1e-4)
        assert one.loss == pytest.approx(float(torch.cat(solo).mean()), rel=1e-4)
        assert one.error is not None
        assert 0 < one.error < one.loss


def test_the_baseline_is_the_base_itself(held_out: HeldOut) -> None:
    fresh = held_out.measure(adapted(), CPU, phase=BASELINE, step=0)
    base = make_model(hidden=64)
    base.set_attn_implementation(PACKED)
    assert held_out.measure(base, CPU, phase=BASELINE, step=0) == fresh
    other = held_out.measure(adapted(fresh=False), CPU, phase=BASELINE, step=0)
    assert all(one.loss != two.loss for one, two in zip(fresh, other, strict=True))


def test_measuring_twice_gives_the_same_bits_and_they_survive_the_file(held_out: HeldOut, tmp_path: Path) -> None:
    model = adapted(fresh=False)
    once = held_out.measure(model, CPU, phase="skills", step=1)
    assert held_out.measure(model, CPU, phase="skills", step=1) == once
    write_records(tmp_path / "heldout.jsonl", once)
    assert list(read_records(tmp_path / "heldout.jsonl", HeldOutLoss)) == once


def trained(held_out: HeldOut, *, measuring: bool) -> dict[str, torch.Tensor]:
    """Six steps with dropout, on rows of the same samples, with or without a look at the held-out loss after each."""
    model = adapted()
    optimizer = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=1e-2)
    torch.manual_seed(5)
    model.train()
    for step in range(6):
        samples = [held_out.samples[place] for place in held_out.rows[step % len(held_out.rows)]]
        packed = lay(samples, CPU)
        token_losses(forward(model, packed), packed.targets).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        if measuring:
            held_out.measure(model, CPU, phase="skills", step=step + 1)
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_training_is_bit_equal_with_and_without_measuring(held_out: HeldOut) -> None:
    without, with_it = trained(held_out, measuring=False), trained(held_out, measuring=True)
    assert without.keys() == with_it.keys()
    assert all(torch.equal(tensor, with_it[name]) for name, tensor in without.items())
    fresh = adapted().state_dict()
    assert any(not torch.equal(tensor, fresh[name]) for name, tensor in without.items())


def test_modes_and_random_states_are_left_as_they_were(held_out: HeldOut) -> None:
    model = adapted().train()
    model.get_base_model().model.norm.eval()
    before = [module.training for module in model.modules()]
    states = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist())
    held_out.measure(model, CPU, phase="skills", step=1)
    assert [module.training for module in model.modules()] == before
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states[1:]
    assert all(parameter.grad is None for parameter in model.parameters())


def test_even_after_an_error_the_model_is_left_as_it_was() -> None:
    model = adapted().train()
    state = torch.get_rng_state()

    def draws() -> None:
        with at_rest(model, CPU):
            torch.rand(3)
            assert not model.training
            raise KeyError

    with pytest.raises(KeyError):
        draws()
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("processes", [2, 3])
def test_several_processes_measure_what_one_does(held_out: HeldOut, processes: int) -> None:
    model = adapted(fresh=False)
    parts: list[FloatArray] = []

    def kept(sums: FloatArray) -> FloatArray:
        parts.append(sums)
        return np.ones_like(sums)  # the sum over processes is made below

    for process in range(processes):
        held_out.measure(model, CPU, phase="skills", step=1, process=process, processes=processes, add_up=kept)
    together = held_out.measure(
        model, CPU, phase="skills", step=1, process=0, processes=processes, add_up=lambda _: np.sum(parts, axis=0)
    )
    assert together == held_out.measure(model, CPU, phase="skills", step=1)
    assert all((part == 0).any() for part in parts), "each process must leave rows to the others"


def test_a_loss_that_is_no_number_stops_the_training(held_out: HeldOut) -> None:
    model = adapted(fresh=False)
    with torch.no_grad():
        next(one for one in model.parameters() if one.requires_grad).fill_(float("nan"))
    with pytest.raises(StoppedError, match="left the finite numbers at step 4"):
        held_out.measure(model, CPU, phase="skills", step=4)


def test_what_no_row_holds_is_left_out_and_said(dataset: Path, chat: Chat) -> None:
    write(dataset / "data" / "test.jsonl", [row("skills/sum", 1, "7"), row("skills/sum", 2, "seven " * 400)])
    found = HeldOut.of(dataset, TrainRecipe(row_tokens=64), chat)
    assert [one.sample for one in found.samples] == ["skills/sum1"]
    assert [(one.sample, one.reason) for one in found.skipped] == [("skills/sum2", "longer than a row of 64 tokens")]
    assert len(HeldOut.of(dataset, TrainRecipe(), chat).samples) == 2  # rows are as long as the longest sample needs
    assert len(HeldOut.of(dataset, TrainRecipe(), chat, limit=64).samples) == 1


def test_samples_that_may_not_share_rows_do_not(dataset: Path, chat: Chat) -> None:
    found = HeldOut.of(dataset, TrainRecipe(), chat, packs=False)
    assert [len(places) for places in found.rows] == [1] * 18


def test_without_test_rows_there_is_nothing_to_measure(tmp_path: Path, chat: Chat) -> None:
    (tmp_path / "data").mkdir()
    found = HeldOut.of(tmp_path, TrainRecipe(), chat)
    assert found.measure(adapted(), CPU, phase="skills", step=1) == []
    assert isinstance(found.digest, str)


def test_columns_that_a_row_does_not_have_are_passed_over(dataset: Path, chat: Chat) -> None:
    write(dataset / "data" / "test.jsonl", [row("skills/sum", 1, "7", colour="red")])
    assert len(HeldOut.of(dataset, TrainRecipe(), chat).samples) == 1


def test_a_broken_row_is_named_by_its_line(dataset: Path, chat: Chat) -> None:
    with (dataset / "data" / "test.jsonl").open("a") as file:
        file.write('{"leaf": 3}\n')
    with pytest.raises(InputError) as caught:
        HeldOut.of(dataset, TrainRecipe(), chat)
    assert "test.jsonl:19" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"), [(None, "there is no such file of base tasks"), ('{"kind": "recall"}\n', "tasks.jsonl:1")]
)
def test_base_tasks_that_cannot_be_read_are_named(dataset: Path, chat: Chat, text: str | None, said: str) -> None:
    path = dataset / "tasks.jsonl"
    path.unlink()
    if text:
        path.write_text(text)
    with pytest.raises(InputError) as caught:
        HeldOut.of(dataset, TrainRecipe(base_tasks=str(path)), chat)
    assert said in str(caught.value)


def test_a_base_task_is_asked_with_its_context(held_out: HeldOut) -> None:
    tokenizer = make_tokenizer()
    texts = {tokenizer.decode(one.ids) for one in held_out.samples if one.leaf == "base/recall"}
    assert "<|user|>The map has 75.\n\nrecall<|end|><|assistant|>2<|end|>" in texts


def test_the_digest_is_of_what_is_measured(dataset: Path, chat: Chat) -> None:
    recipe = TrainRecipe(base_tasks=str(dataset / "tasks.jsonl"))
    first = HeldOut.of(dataset, recipe, chat).digest
    assert HeldOut.of(dataset, recipe, chat).digest == first
    assert HeldOut.of(dataset, TrainRecipe(), chat).digest != first
    rows = [json.loads(line) for line in (dataset / "data" / "test.jsonl").read_text().splitlines()]
    rows[4]["messages"][1]["content"] = "black"
    write(dataset / "data" / "test.jsonl", rows)
    assert HeldOut.of(dataset, recipe, chat).digest != first


def samples(sizes: dict[str, int]) -> list[Encoded]:
    one = np.arange(3)
    return [Encoded(f"{leaf}{n}", leaf, one, one > 0) for leaf, size in sizes.items() for n in range(size)]


def counts(drawn: list[Encoded]) -> Callable[[str], int]:
    return lambda leaf: sum(one.leaf == leaf for one in drawn)


def test_no_leaf_gives_more_than_its_share_and_what_is_protected_comes_first() -> None:
    sizes = {f"skills/s{n}": 10 for n in range(300)} | {"base/copying": 100, "knowledge/k": 500, "skills/s": 3}
    drawn = draw(samples(sizes), first=("base", "knowledge"))
    of = counts(drawn)
    assert (of("base/copying"), of("knowledge/k")) == (OF_A_LEAF, OF_A_LEAF)
    assert {of(f"skills/s{n}") for n in range(300)} == {6}
    assert of("skills/s") == 3
    assert len(drawn) <= IN_ALL


def test_every_leaf_is_measured_however_many_there_are() -> None:
    drawn = draw(samples({f"skills/s{n}": 2 for n in range(2_500)}), first=())
    assert len({one.leaf for one in drawn}) == len(drawn) == 2_500


def test_which_samples_are_drawn_does_not_depend_on_their_order_or_on_others() -> None:
    few = samples({"skills/a": 100})
    first = {one.sample for one in draw(few, first=())}
    assert {one.sample for one in draw(few[::-1], first=())} == first
    more = draw([*few, *samples({"skills/b": 90})], first=())
    assert {one.sample for one in more if one.leaf == "skills/a"} == first
    assert len(first) == OF_A_LEAF


@given(st.lists(st.integers(1, 200), max_size=60).map(sorted), st.integers(0, 2_000))
def test_the_share_is_the_largest_that_stays_within_the_total(sizes: list[int], total: int) -> None:
    most = share(sizes, total)

    def taken(each: int) -> int:
        return sum(min(size, each) for size in sizes)

    assert 1 <= most <= OF_A_LEAF
    assert taken(most) <= total or most == 1
    assert most == OF_A_LEAF or taken(most + 1) > total or most >= max(sizes)
