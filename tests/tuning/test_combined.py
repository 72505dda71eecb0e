"""Several adapters as one: what it computes, against sums made by hand, and what cannot be combined."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from merged_run import write_adapter
from tiny_chat_model import save_base

from instructlab_like.errors import ModelError
from instructlab_like.tuning.combined import Combined, combine, decomposed
from instructlab_like.tuning.models import load_adapter, load_base

IDS = torch.tensor([[5, 60, 7, 8, 200, 31, 4, 90]])
LAYER = "base_model.model.model.layers.0.mlp.down_proj"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def parts(base: Path) -> tuple[Path, Path]:
    folders = (base.parent / "one", base.parent / "two")
    write_adapter(folders[0], base, seed=1)
    write_adapter(folders[1], base, seed=2, r=2, lora_alpha=2, use_rslora=True)
    return folders


def combined(base: Path, adapters: tuple[Path, ...], folder: Path, **told: object) -> Combined:
    options: dict[str, object] = {"how": "linear", "weights": (0.75, 0.5), "density": 0.5, "rank": None, "seed": 0}
    found: list[Combined] = []

    def card(facts: Combined) -> str:
        found.append(facts)
        return "a card"

    return combine(str(base), adapters, folder, conversations=(), card=card, inputs="x", **(options | told))  # type: ignore[arg-type]


def delta(base: Path, adapter: Path) -> torch.Tensor:
    """The update of one layer, by hand."""
    model, _ = load_base(str(base), torch.float32)
    layer = load_adapter(model, adapter, "a").get_submodule(LAYER)
    scale = layer.scaling["a"]
    return scale * (layer.lora_B["a"].weight @ layer.lora_A["a"].weight).detach()


def test_linear_is_the_weighted_sum_of_the_updates(base: Path, parts: tuple[Path, Path], tmp_path: Path) -> None:
    facts = combined(base, parts, tmp_path / "sum")
    assert facts.rank == 6
    assert facts.whole.largest < 1e-4
    expected = 0.75 * delta(base, parts[0]) + 0.5 * delta(base, parts[1])
    torch.testing.assert_close(delta(base, tmp_path / "sum"), expected, rtol=1e-4, atol=1e-5)


def test_ties_at_full_density_adds_what_agrees_in_sign(base: Path, parts: tuple[Path, Path], tmp_path: Path) -> None:
    combined(base, parts, tmp_path / "ties", how="ties", density=1.0, weights=(1.0, 1.0), rank=32)
    one, two = delta(base, parts[0]), delta(base, parts[1])
    agree = one.sign() == two.sign()
    assert 0.2 < float(agree.float().mean()) < 0.8
    found = delta(base, tmp_path / "ties")
    torch.testing.assert_close(found[agree], ((one + two) / 2)[agree], rtol=1e-3, atol=1e-4)
    larger = torch.where(one.abs() > two.abs(), one, two)
    torch.testing.assert_close(found[~agree], larger[~agree], rtol=1e-3, atol=1e-4)


def test_dare_depends_on_its_seed_alone(base: Path, parts: tuple[Path, Path], tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("again", 1), ("other", 2)):
        combined(base, parts, tmp_path / name, how="dare", seed=seed)
    weights = [(tmp_path / name / "adapter_model.safetensors").read_bytes() for name in ("a", "again", "other")]
    assert weights[0] == weights[1]
    assert weights[0] != weights[2]


def test_what_a_small_rank_loses_is_told(base: Path, parts: tuple[Path, Path], tmp_path: Path) -> None:
    facts = combined(base, parts, tmp_path / "small", rank=2)
    assert facts.rank == 2
    assert 0.1 < facts.kept < 0.99
    assert facts.whole.largest > 1e-3


@pytest.mark.parametrize("told", [{"use_dora": True}, {"modules_to_save": ["lm_head"]}], ids=["dora", "modules"])
def test_what_cannot_be_added_up_is_refused_by_name(
    base: Path, parts: tuple[Path, Path], tmp_path: Path, told: dict[str, object]
) -> None:
    write_adapter(tmp_path / "odd", base, **told)
    with pytest.raises(ModelError, match=r"DoRA|lm_head") as error:
        combined(base, (parts[0], tmp_path / "odd"), tmp_path / "out")
    assert str(tmp_path / "odd") in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("how", ["linear", "ties", "dare"])
def test_an_adapter_with_what_is_no_number_is_named(
    base: Path, parts: tuple[Path, Path], tmp_path: Path, how: str
) -> None:
    write_adapter(tmp_path / "odd", base, scale=1e38)
    with pytest.raises(ModelError, match="no number") as error:
        combined(base, (parts[0], tmp_path / "odd"), tmp_path / "out", how=how)
    assert error.value.where == str(tmp_path / "odd")
    with pytest.raises(ModelError, match="no number") as error:
        combined(base, parts, tmp_path / "out", how=how, weights=(1e300, 1.0))
    assert error.value.where == f"{how} combination"


def test_large_updates_are_decomposed_as_exactly_as_small_ones() -> None:
    torch.manual_seed(0)
    update = torch.randn(300, 5) @ torch.randn(5, 200)
    left, values, right = decomposed(update, 5)
    torch.testing.assert_close(left * values @ right, update, rtol=1e-3, atol=1e-3)
