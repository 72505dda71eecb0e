from __future__ import annotations

import pytest
import torch
from switched_models import CPU, ROWS, adapted, every_row, furthest, kernel_on_a_cpu, learnt, samples_of
from torch._dynamo.utils import counters

from instructlab_like.tuning import switches
from instructlab_like.tuning.compiled import cannot_compile, compile_layers, decoder_layers, leave_as_written
from instructlab_like.tuning.separate import forward, lay
from instructlab_like.tuning.switches import Switches, apply

ROOM = 32


@pytest.fixture(autouse=True)
def afresh() -> None:
    torch._dynamo.reset()
    counters.clear()


@pytest.mark.parametrize("kind", ["none", "full", "selective"])
def test_a_layer_is_one_graph_and_is_compiled_no_more_after_the_second_row(
    kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU: the kernel for samples of different lengths, fused adapters, the chunked loss, filled-up rows."""
    with kernel_on_a_cpu(monkeypatch):
        model = adapted(layers=4)
        plain = every_row(model)
        monkeypatch.setattr(
            switches,
            "compile_layers",
            lambda base, backend: [layer.compile(backend=backend, fullgraph=True) for layer in decoder_layers(base)],
        )
        apply(Switches(compile=True, fused=True, chunked=True, recompute=kind), model, trial=True)
        found, graphs = [], []
        for lengths in ROWS:
            found.append(learnt(model, lay(samples_of(lengths), CPU, room=ROOM)))
            graphs.append(counters["stats"]["unique_graphs"])
    assert furthest(found, plain) < 1e-5
    assert not counters["graph_break"]
    assert graphs[0] == 2  # what the first layer reads needs no gradient, what the others read does
    assert graphs[1:] == [4] * (len(ROWS) - 1)


def test_attention_by_sample_breaks_the_graph_at_the_borders_and_nowhere_else() -> None:
    model = adapted(layers=3)
    plain = every_row(model)
    assert compile_layers(model.get_base_model(), backend="aot_eager") == 3
    assert furthest(every_row(model, ROOM), plain) < 1e-5
    assert [reason.partition("\n")[0] for reason in counters["graph_break"]] == ["Data dependent operator"]


def test_a_row_that_is_filled_up_gives_the_same_losses_and_gradients() -> None:
    model = adapted()
    assert furthest(every_row(model, 40), every_row(model)) < 1e-5
    row = lay(samples_of((14, 9)), CPU, room=40)
    assert row.ids.shape == row.positions.shape == (1, 40)
    assert row.borders.tolist() == [0, 14, 23, 40]
    assert set(row.owners.tolist()) == {0, 1}
    assert lay(samples_of((14, 9)), CPU, room=23).borders.tolist() == [0, 14, 23]


def test_without_a_gradient_layers_run_as_they_are_written() -> None:
    model = adapted()
    compile_layers(model.get_base_model(), backend="aot_eager")
    with torch.no_grad():
        forward(model, lay(samples_of((14, 9)), CPU))
    assert counters["stats"]["unique_graphs"] == 0


def test_compiling_can_be_undone() -> None:
    model = adapted()
    plain = every_row(model)
    compile_layers(model.get_base_model(), backend="aot_eager")
    leave_as_written(model.get_base_model())
    assert furthest(every_row(model), plain) == 0
    assert counters["stats"]["unique_graphs"] == 0


def test_a_machine_without_a_compiler_cannot(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    assert cannot_compile("cpu") == ""
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("CC", "CXX"):
        monkeypatch.delenv(name, raising=False)
    assert cannot_compile("cpu").startswith("there is no C compiler")
