"""`ilk doctor` on machines where something is missing, too old, of another build, or crashes when it is imported."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from instructlab_like.recipe import LoraRecipe, TrainRecipe
from instructlab_like.stages.training import doctor
from instructlab_like.tuning import machine

ROOT = Path(__file__).parents[2]
GB = 2**30
PIP = doctor.Pip("py", "constraints.txt", {"torch": "torch==2.13.0", "peft": "peft==0.21.2"}, "")
CPU = machine.Torch("2.13.0+cpu", None, None, False, (), (), (), (), False, "", "")
CUDA = machine.Torch("2.13.0", "13.0", None, False, (), (), ("sm_90",), (), False, "no CUDA-capable device", "")
ON_GPU = machine.Torch("2.13.0", "12.8", None, True, ("H",), ("9.0",), ("sm_90",), (8 * GB,), True, "", "")
CARD = machine.Gpu("RTX 4090", 24 * GB, 23 * GB, "8.9")
DRIVER = machine.Driver("570.86.10", "12.8", (CARD,))


def package(folder: Path, name: str, code: str, version: str | None = None) -> None:
    """A package on PYTHONPATH in front of the installed one, with metadata of its own if it has a version."""
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(code)
    if version:
        info = folder / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def examine(*words: str, cwd: Path, path: Sequence[Path] = (), **environment: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, what `ilk doctor --format json` says, and what stands on standard error."""
    found = subprocess.run(
        [sys.executable, "-m", "instructlab_like", "doctor", "--format", "json", *words],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path)), "ILK_CACHE": str(cwd / "cache")} | environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert "Traceback" not in found.stderr, found.stderr
    return found.returncode, json.loads(found.stdout), found.stderr


def finding(report: dict[str, Any], about: str) -> dict[str, str]:
    found: list[dict[str, str]] = [one for one in report["findings"] if one["about"] == about]
    return found[0]


def test_a_stack_that_works_is_ok_and_the_model_fits(tmp_path: Path) -> None:
    code, report, _ = examine(cwd=tmp_path)
    assert (code, report["works"]) == (0, True)
    for about in ("python", *doctor.STACK, "launcher", "git", "model"):
        assert finding(report, about)["status"] == "ok", finding(report, about)
    assert report["fit"]["verdict"] in ("fits", "tight")
    assert report["memory"]["total"] == sum(value for name, value in report["memory"].items() if name != "total")


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("torch", "raise RuntimeError('libcudart.so.12: cannot open')", "libcudart.so.12"),
        ("numpy", "import os; os.abort()", "SIGABRT"),
    ],
)
def test_a_package_that_dies_at_import_is_named_with_what_is_in_front_of_it(
    name: str, code: str, said: str, tmp_path: Path
) -> None:
    package(tmp_path / "fake", name, code)
    exit_code, report, told = examine(cwd=tmp_path, path=[tmp_path / "fake"])
    found = finding(report, name)
    assert (exit_code, found["status"], found["fix"]) == (1, "broken", "unset PYTHONPATH")
    assert said in found["what"]
    assert name in told
    assert finding(report, "git")["status"] == "ok"
    if name == "torch":
        assert finding(report, "peft")["fix"] == "repair torch first"


def test_old_missing_and_torn_packages_have_the_command_that_repairs_each(tmp_path: Path) -> None:
    fake = tmp_path / "fake"
    package(fake, "transformers", "__version__ = '4.40.0'", "4.40.0")
    package(fake, "tokenizers", "raise ImportError('undefined symbol')", "0.23.3")
    (fake / "sitecustomize.py").write_text(
        "import sys\n"
        "class Gone:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'peft':\n"
        '            raise ModuleNotFoundError(f"No module named {name!r}", name=name)\n'
        "sys.meta_path.insert(0, Gone())\n"
    )
    exit_code, report, _ = examine(cwd=tmp_path, path=[fake])
    assert exit_code == 1
    python, constraints = sys.executable, ROOT / "constraints.txt"
    pip = f"{python} -m pip install -c {constraints}"
    old = finding(report, "transformers")
    assert (old["status"], old["fix"]) == ("broken", f"{pip} transformers==5.23.0")
    assert "4.40.0 is installed, transformers>=5.20 is needed" in old["what"]
    torn = finding(report, "tokenizers")
    assert (torn["status"], torn["fix"]) == ("broken", f"{pip} --force-reinstall --no-deps tokenizers==0.23.3")
    assert finding(report, "peft")["status"] == "broken"


# --- judged here, from what a machine said ----------------------------------------------------------------------


def test_git_that_is_missing_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.git().status == "ok"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.git().status == "broken"
    (tmp_path / "git").write_text("#!/bin/sh\necho git version 2.20.1 of old\n")
    (tmp_path / "git").chmod(0o755)
    assert (doctor.git().status, "2.20.1" in doctor.git().what) == ("note", True)


def test_a_hub_that_cannot_be_reached_is_said_for_a_model_that_is_not_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0"}.items():
        monkeypatch.setenv(name, value)
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    findings, memory, _ = doctor.model(TrainRecipe(model="example/none-such"), CPU)
    assert (findings[0].status, memory) == ("broken", None)
    assert "not in the cache" in findings[0].what
    assert "hf download example/none-such" in findings[0].fix


def test_a_model_in_the_hubs_cache_is_looked_at_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "hub" / "models--example--tiny"
    shutil.copytree(ROOT / "training/base/model", model / "snapshots" / "abc")
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("abc")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    findings, memory, fit = doctor.model(TrainRecipe(model="example/tiny"), CPU)
    assert findings[0].status == "ok"
    assert memory is not None
    assert fit is not None


@pytest.mark.parametrize(
    ("name", "said"),
    [("nowhere/at/all", "no such model folder"), ("weights.gguf", "is a file"), ("folder", "config.json")],
)
def test_a_model_that_is_none_is_broken(name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.gguf").write_bytes(b"GGUF")
    (tmp_path / "folder").mkdir()
    findings, memory, _ = doctor.model(TrainRecipe(model=name), CPU)
    assert [one.status for one in findings] == ["broken"]
    assert said in findings[0].what
    assert memory is None


def test_a_model_without_weights_is_broken(tmp_path: Path) -> None:
    shutil.copy(ROOT / "training/base/model/config.json", tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    findings, _, _ = doctor.model(TrainRecipe(model=str(tmp_path)), CPU)
    assert findings[0].status == "broken"
    assert "pickled" in findings[0].what


def test_targets_that_the_model_lacks_are_broken() -> None:
    recipe = TrainRecipe(model=str(ROOT / "training/base/model"), lora=LoraRecipe(targets=("query_key",)))
    findings, _, _ = doctor.model(recipe, CPU)
    assert findings[-1].status == "broken"
    assert "q_proj" in findings[-1].fix


def test_a_training_that_does_not_fit_says_what_would(monkeypatch: pytest.MonkeyPatch) -> None:
    small = machine.Torch("2.13.0", "12.8", None, True, ("small",), ("9.0",), (), (GB,), True, "", "")
    recipe = TrainRecipe(model=str(ROOT / "training/base/model"), row_tokens=2048)
    findings, memory, fit = doctor.model(recipe, small)
    assert memory is not None
    assert memory.on_gpu
    assert fit is not None
    tiny = machine.Torch("2.13.0", "12.8", None, True, ("t",), ("9.0",), (), (memory.total - 1,), True, "", "")
    findings, _, fit = doctor.model(recipe, tiny)
    assert fit is not None
    assert fit.verdict == "does not fit"
    assert findings[-1].status == "broken"
    assert findings[-1].fix == "in the recipe's train section: row_tokens: 1024"


def test_lines_stand_in_columns_with_the_repair_below() -> None:
    found = [
        doctor.Finding(about="git", status="ok", what="2.39.5"),
        doctor.Finding(about="numpy", status="broken", what="is not installed", fix="pip install numpy"),
    ]
    assert list(doctor.lines(found)) == [
        "ok      git    2.39.5",
        "BROKEN  numpy  is not installed",
        "               → pip install numpy",
    ]


def judged(
    torch: machine.Torch, driver: machine.Driver | None, cards: int = 0, visible: str | None = None
) -> doctor.Finding:
    return list(doctor.gpu(torch, driver, cards, PIP, visible=visible))[-1]


def test_a_build_for_the_cpu_beside_a_gpu_is_broken_and_the_build_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCH_INDEX", raising=False)
    found = judged(CPU, DRIVER)
    assert found.status == "broken"
    assert found.fix.startswith("py -m pip install -c constraints.txt --force-reinstall torch==2.13.0 ")
    monkeypatch.setenv("TORCH_INDEX", "https://example.org/cu128")
    assert " --index-url https://example.org/cu128" in judged(CPU, DRIVER).fix


def test_a_driver_older_than_torchs_cuda_is_broken() -> None:
    found = judged(CUDA, DRIVER)
    assert found.status == "broken"
    assert "serves CUDA 12.8, torch is built for 13.0" in found.what


def test_a_gpu_without_a_driver_is_broken_and_no_gpu_is_not() -> None:
    assert judged(CUDA, None, cards=1).status == "broken"
    assert judged(CPU, machine.Driver(error="couldn't communicate"), cards=2).status == "broken"
    assert judged(CUDA, None).status == "note"
    assert judged(CPU, None).status == "ok"


def test_gpus_that_are_hidden_on_purpose_are_fine() -> None:
    assert judged(CPU, DRIVER, cards=1, visible="").status == "ok"
    assert judged(CPU, DRIVER, cards=1, visible="0").status == "broken"


def test_a_gpu_that_fails_a_sum_is_broken() -> None:
    failing = machine.Torch(
        "2.13.0", "12.8", None, True, ("old",), ("5.0",), ("sm_90",), (GB,), True, "no kernel image is available", ""
    )
    assert judged(ON_GPU, DRIVER).status == "ok"
    found = judged(failing, DRIVER)
    assert found.status == "broken"
    assert "built for sm_90" in found.what


def test_arrays_that_cannot_be_shared_are_broken() -> None:
    torn = machine.Torch("2.1.0", None, None, False, (), (), (), (), False, "", "Numpy is not available")
    assert next(doctor.gpu(torn, None, 0, PIP, visible=None)).status == "broken"


def test_a_module_that_a_package_lacks_is_installed_and_a_stray_torchvision_removed() -> None:
    lacking = machine.Outcome("error", "ModuleNotFoundError: No module named 'regex'", {"origin": None})
    found = doctor.unimportable("transformers", "5.23.0", lacking, set(doctor.STACK), PIP)
    assert found.fix == "py -m pip install -c constraints.txt regex"
    torn = machine.Outcome("error", "RuntimeError: operator torchvision::nms does not exist")
    assert "uninstall -y torchvision" in doctor.unimportable("peft", "0.21.2", torn, set(doctor.STACK), PIP).fix


def test_a_pin_is_used_only_where_the_requirement_takes_it() -> None:
    assert PIP.install("peft>=0.21") == "py -m pip install -c constraints.txt peft==0.21.2"
    assert PIP.install("peft<0.20") == "py -m pip install -c constraints.txt 'peft<0.20'"


def test_more_threads_than_cores_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [one.status for one in doctor.threads(TrainRecipe(threads=1000), CPU)] == ["note"]
    assert [one.status for one in doctor.threads(TrainRecipe(threads=1), CPU)] == ["ok"]
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert "unset OMP_NUM_THREADS" in [one.fix for one in doctor.threads(TrainRecipe(threads=1), CPU)]


def test_a_tracker_that_the_recipe_names_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "TRACKERS", ())
    found = list(doctor.extras(TrainRecipe(trackers=("wandb",)), PIP))
    assert found[-1].status == "broken"
    assert found[-1].fix == "py -m pip install -c constraints.txt wandb"


def test_rows_are_those_that_training_derives() -> None:
    from instructlab_like.tuning import phases

    assert {False: phases.ROW_ON_CPU, True: phases.ROW_ON_GPU} == doctor.ROWS
