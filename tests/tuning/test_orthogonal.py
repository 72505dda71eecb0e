"""Orthogonal subspaces: what is held is not touched, what leaves is a LoRA adapter that computes the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from accelerate.accelerator import Accelerator
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_chat_model import save_base
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel

from instructlab_like.errors import ModelError, RecipeError
from instructlab_like.recipe import TrainRecipe
from instructlab_like.tuning import checkpoint, orthogonal
from instructlab_like.tuning.models import load_adapter, load_base
from instructlab_like.tuning.orthogonal import OrthogonalTrainee, Update, compact, own, weight

ROOT = Path(__file__).parents[2]
IDS = torch.arange(1, 61).reshape(2, 30)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base"))


@pytest.fixture
def trainee(base: Path) -> Callable[..., OrthogonalTrainee]:
    def made(**osf: object) -> OrthogonalTrainee:
        recipe = TrainRecipe.model_validate({"model": str(base), "osf": osf})
        model, tokenizer = load_base(str(base), torch.float32)
        return orthogonal.adapt(model, tokenizer, recipe, Accelerator(cpu=True))

    return made


def taught(trainee: OrthogonalTrainee, steps: int = 5, *, phase: int = 0, made_good: bool = True) -> None:
    """Begin a phase and make steps of it."""
    trainee.begin(phase)
    optimizer = torch.optim.AdamW(trainee.parameters, lr=3e-3, weight_decay=0.0)
    for _ in range(steps):
        trainee.adapted(input_ids=IDS, labels=IDS).loss.backward()
        optimizer.step()
        if made_good:
            trainee.stepped()
        optimizer.zero_grad()


@torch.no_grad()
def logits(model: torch.nn.Module) -> torch.Tensor:
    found: torch.Tensor = model(input_ids=IDS).logits
    return found


def saved(trainee: OrthogonalTrainee, folder: Path) -> Path:
    checkpoint.write(
        folder,
        trainee.adapter(),
        trainee.tokenizer,
        base=trainee.base,
        weights_id=trainee.weights,
        inputs="x",
        card="",
    )
    return folder


def along_held(trainee: OrthogonalTrainee) -> float:
    """The part of what a phase adds that lies along the directions that it holds, of the weights as it began."""
    worst = 0.0
    for name, layer in trainee.layers():
        update = own(layer)
        added, held = update.left @ update.right, layer.effective_rank["default"] + trainee.course.more[name]
        outer, _, inner = torch.linalg.svd(weight(layer).data.float(), full_matrices=False)
        worst = max(
            worst,
            float((outer[:, :held].T @ added).norm() / added.norm()),
            float((added @ inner[:held].T).norm() / added.norm()),
        )
    return worst


def test_nothing_is_changed_before_the_first_step(trainee: Callable[..., OrthogonalTrainee], base: Path) -> None:
    found = trainee(effective_rank=0.5)
    torch.testing.assert_close(logits(found.adapted), logits(load_base(str(base), torch.float32)[0]), rtol=0, atol=1e-5)
    for _, layer in found.layers():
        left, right = own(layer)
        assert not (left @ right).any()


def test_steps_leave_what_is_held_alone_which_gradients_alone_do_not(trainee: Callable[..., OrthogonalTrainee]) -> None:
    found = trainee(effective_rank=0.5)
    taught(found)
    assert along_held(found) < 1e-4
    left = trainee(effective_rank=0.5)
    taught(left, made_good=False)
    assert along_held(left) > 0.1  # AdamW scales each number by itself, so its steps turn away from the gradient


@pytest.mark.parametrize("ranks", [(0.25, 0.75), (3, 9)])
def test_a_later_phase_may_hold_more(
    trainee: Callable[..., OrthogonalTrainee], base: Path, tmp_path: Path, ranks: tuple[float, float]
) -> None:
    found = trainee(effective_rank=ranks)
    taught(found)
    assert along_held(found) < 1e-4
    found.take_phase(saved(found, tmp_path / "one"))
    taught(found, phase=1)
    assert any(found.course.more.values())
    assert along_held(found) < 1e-4
    again = load_adapter(load_base(str(base), torch.float32)[0], saved(found, tmp_path / "two"), "two")
    torch.testing.assert_close(logits(again), logits(found.adapted), rtol=1e-4, atol=1e-4)


def test_the_gradients_of_what_a_later_phase_holds_are_gone(trainee: Callable[..., OrthogonalTrainee]) -> None:
    found = trainee(effective_rank=(0.25, 0.75))
    found.begin(1)
    found.adapted(input_ids=IDS, labels=IDS).loss.backward()
    for name, layer in found.layers():
        more = found.course.more[name]
        assert more > 0
        assert not orthogonal.parts(layer)["U_low"].grad[:, :more].any()  # type: ignore[index]
        assert orthogonal.parts(layer)["U_low"].grad[:, more:].any()  # type: ignore[index]
        assert not orthogonal.parts(layer)["S_low"].grad[:more].any()  # type: ignore[index]


@pytest.mark.parametrize("effective_rank", [0.5, 0.9, 3])
def test_it_leaves_as_lora_that_computes_the_same_after_each_phase(
    trainee: Callable[..., OrthogonalTrainee], base: Path, tmp_path: Path, effective_rank: float
) -> None:
    found = trainee(effective_rank=effective_rank)
    for phase in ("one", "two"):
        taught(found)
        folder = saved(found, tmp_path / phase)
        again = load_adapter(load_base(str(base), torch.float32)[0], folder, phase)
        assert again.peft_config[phase].peft_type == "LORA"
        torch.testing.assert_close(logits(again), logits(found.adapted), rtol=1e-4, atol=1e-4)
        found.take_phase(folder)
    assert (tmp_path / "one" / checkpoint.WEIGHTS).read_bytes() != (tmp_path / "two" / checkpoint.WEIGHTS).read_bytes()


def test_a_phase_holds_what_the_one_before_has_taught(
    trainee: Callable[..., OrthogonalTrainee], tmp_path: Path
) -> None:
    found = trainee(effective_rank=0.5)
    before = {name: weight(layer).data.clone() for name, layer in found.layers()}
    taught(found)
    learnt = {name: own(layer) for name, layer in found.layers()}
    found.take_phase(saved(found, tmp_path / "one"))
    found.begin(1)
    for name, layer in found.layers():
        told = before[name] + learnt[name].left @ learnt[name].right
        torch.testing.assert_close(weight(layer).data, told, rtol=1e-4, atol=1e-5)
    taught(found)
    assert along_held(found) < 1e-4


def test_a_finished_phase_that_is_taken_from_disk_is_saved_as_it_is(
    trainee: Callable[..., OrthogonalTrainee], tmp_path: Path
) -> None:
    found = trainee(effective_rank=0.5)
    taught(found)
    folder = saved(found, tmp_path / "one")
    other = trainee(effective_rank=0.5)
    other.take_phase(folder)
    again = saved(other, tmp_path / "again")
    assert (folder / checkpoint.WEIGHTS).read_bytes() == (again / checkpoint.WEIGHTS).read_bytes()


def test_values_come_back_bit_by_bit(trainee: Callable[..., OrthogonalTrainee]) -> None:
    found = trainee(effective_rank=0.9)
    taught(found, 2)
    kept, shown = found.values(), logits(found.adapted)
    taught(found, 2)
    assert not torch.equal(logits(found.adapted), shown)
    found.set_values(kept)
    assert torch.equal(logits(found.adapted), shown)


@settings(max_examples=40, deadline=None)
@given(
    outputs=st.integers(1, 12),
    inputs=st.integers(1, 12),
    ranks=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    seed=st.integers(0, 99),
)
def test_a_sum_of_updates_is_kept_whole_with_the_least_rank(
    outputs: int, inputs: int, ranks: list[int], seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    updates = [
        Update(torch.randn(outputs, rank, generator=generator), torch.randn(rank, inputs, generator=generator))
        for rank in ranks
    ]
    found = compact(updates)
    assert found.left.shape == (outputs, min(outputs, inputs, sum(ranks)))
    torch.testing.assert_close(
        found.left @ found.right, sum(one.left @ one.right for one in updates), rtol=1e-4, atol=1e-4
    )


def test_layers_of_other_kinds_and_nothing_left_to_train_are_refused(
    trainee: Callable[..., OrthogonalTrainee], tmp_path: Path
) -> None:
    for rank, says in ((500, "nothing is left to train"), (0.001, "OSF would hold nothing back")):
        with pytest.raises(RecipeError, match=says) as refused:
            trainee(effective_rank=rank)
        assert refused.value.where == "train.osf.effective_rank"
    for targets in (["q_porj"], "(", ["embed_tokens"]):
        with pytest.raises((RecipeError, ModelError)) as unknown:
            trainee(targets=targets)
        assert unknown.value.where == "train.osf.targets"
    other: PreTrainedModel = GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=16, n_head=2, vocab_size=320))
    recipe = TrainRecipe.model_validate({"osf": {"targets": ["c_attn"]}})
    with pytest.raises(ModelError, match="Conv1D"):
        orthogonal.adapt(other, trainee().tokenizer, recipe, Accelerator(cpu=True))
    tied, tokenizer = load_base(str(ROOT / "training" / "base" / "model"), torch.float32)
    recipe = TrainRecipe.model_validate({"osf": {"targets": ["lm_head"]}})
    with pytest.raises(RecipeError, match="shares its weights"):
        orthogonal.adapt(tied, tokenizer, recipe, Accelerator(cpu=True))
