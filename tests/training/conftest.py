from __future__ import annotations

import importlib.util
import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "training" / "lora.py"
COLOURS = ("red and white", "blue", "green and gold")


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_chat_model import save_base

    return save_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def lora() -> Iterator[ModuleType]:
    """training/lora.py as a module; it sets its own signal handler, which ends with the tests."""
    before = signal.getsignal(signal.SIGTERM)
    spec = importlib.util.spec_from_file_location("training_lora", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["training_lora"] = module
    spec.loader.exec_module(module)
    yield module
    signal.signal(signal.SIGTERM, before)


def row(phase: str, leaf: str, number: int, question: str, answer: str) -> dict[str, object]:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": messages, "phase": phase, "leaf": leaf, "sample": f"{phase}{number}"}


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two knowledge leaves and a skill, replay among them, 24 samples a phase."""
    knowledge = [
        row("knowledge", f"knowledge/flags{number % 2}", number, f"Which flag has Land {number}?", COLOURS[number % 3])
        for number in range(24)
    ]
    skills = [
        row("skills", "replay" if number % 6 == 0 else "skills/sum", number, f"{number} plus 1?", str(number + 1))
        for number in range(24)
    ]
    write(tmp_path / "dataset", knowledge, skills)
    test = [row("skills", "skills/sum", number, f"{number} plus 1?", str(number + 1)) for number in range(30, 40)]
    test += [row("knowledge", f"knowledge/flags{n % 2}", n, f"The flag of Land {n}?", COLOURS[n % 3]) for n in range(8)]
    lines = "".join(json.dumps(one | {"sample": f"test-{one['sample']}"}) + "\n" for one in test)
    (tmp_path / "dataset" / "data" / "test.jsonl").write_text(lines, encoding="utf-8")
    return tmp_path / "dataset"


def write(folder: Path, knowledge: list[dict[str, object]], skills: list[dict[str, object]]) -> None:
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for phase, rows in (("knowledge", knowledge), ("skills", skills)):
        lines = "".join(json.dumps(one) + "\n" for one in rows)
        (folder / "data" / f"{phase}-train.jsonl").write_text(lines, encoding="utf-8")


@pytest.fixture
def recipe(base: Path, tmp_path: Path) -> Callable[..., Path]:
    """Write a recipe file for the tiny base, with what a test wants otherwise."""

    def written(**told: object) -> Path:
        phases = [{"name": name, "epochs": 2, "learning_rate": 1e-2} for name in ("knowledge", "skills")]
        usual = {
            "model": str(base),
            "lora": {"rank": 4, "alpha": 8, "dropout": 0.1},
            "phases": phases,
            "row_tokens": 128,
            "batch_tokens": 256,
            "threads": 1,
        }
        path = tmp_path / "recipe.json"
        path.write_text(json.dumps({"train": usual | told}), encoding="utf-8")
        return path

    return written


@pytest.fixture
def arguments(dataset: Path, recipe: Callable[..., Path], tmp_path: Path) -> Callable[..., list[str]]:
    """The options of training/lora.py; `out` names a folder, all else goes into the recipe."""

    def made(out: str = "out", **told: object) -> list[str]:
        places = {"run-folder": tmp_path, "dataset": dataset, "recipe": recipe(**told), "out": tmp_path / out}
        return [part for name, place in places.items() for part in (f"--{name}", str(place))]

    return made


@pytest.fixture
def train(lora: ModuleType, arguments: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run the script in this process and give its exit code."""

    def ran(out: str = "out", **told: object) -> int:
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments(out, **told)])
        code: int = lora.main()
        return code

    return ran
