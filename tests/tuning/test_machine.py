"""What a broken package, driver or limit looks like from outside: processes that fail, crash or hang."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from instructlab_like.tuning import machine

CSV = "570.86.10, 24564, 23900, 8.9, NVIDIA GeForce RTX 4090\n"
HEADER = "| NVIDIA-SMI 570.86.10    Driver Version: 570.86.10    CUDA Version: 12.8     |\n"


def tool(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}")
    (folder / name).chmod(0o755)


def package(folder: Path, name: str, code: str) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(code)


def test_the_room_is_entered_without_torch() -> None:
    code = (
        "import sys, instructlab_like.tuning.machine, instructlab_like.tuning.estimate, instructlab_like.tuning.hub\n"
    )
    code += "print([name for name in ('torch', 'numpy', 'transformers', 'peft', 'git') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_what_code_tells_comes_back() -> None:
    outcome = machine.run("print('noise')\ntell({'a': 1})\nprint('more')")
    assert (outcome.ended, outcome.told) == ("well", {"a": 1})


def test_code_that_raises_says_its_last_line() -> None:
    outcome = machine.run("tell({'a': 1})\nraise ValueError('no\\nsuch luck')")
    assert (outcome.ended, outcome.said, outcome.told) == ("error", "such luck", {"a": 1})


def test_a_crash_is_named_by_its_signal() -> None:
    outcome = machine.run("import os; os.abort()")
    assert outcome.ended == "crash"
    assert "SIGABRT" in outcome.said


def test_code_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = "import subprocess, sys, threading\n"
    code += "child = subprocess.Popen([sys.executable, '-c', 'import threading; threading.Event().wait()'])\n"
    code += f"open({str(pid)!r}, 'w').write(str(child.pid))\nthreading.Event().wait()"
    outcome = machine.run(code, seconds=5.0)
    assert outcome.ended == "hang"
    assert "5 s" in outcome.said
    state = Path(f"/proc/{pid.read_text()}/stat")
    assert not state.exists() or state.read_text().split()[2] in "ZX"


def test_a_program_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    assert machine.ended([str(tmp_path / "nothing")], seconds=5.0).ended == "error"


def test_each_import_is_tried_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, "sound", "__version__ = '1.5'")
    package(tmp_path, "faulty", "raise RuntimeError('undefined symbol: x')")
    package(tmp_path, "deadly", "import os; os.abort()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = machine.imported(["sound", "faulty", "deadly", "absent"])
    assert {name: outcome.ended for name, outcome in found.items()} == {
        "sound": "well",
        "faulty": "error",
        "deadly": "crash",
        "absent": "error",
    }
    assert found["sound"].told == {"origin": str(tmp_path / "sound" / "__init__.py"), "version": "1.5"}
    assert found["faulty"].said == "RuntimeError: undefined symbol: x"
    assert found["deadly"].told == {"origin": str(tmp_path / "deadly" / "__init__.py")}
    assert "No module named 'absent'" in found["absent"].said


def test_torch_tells_what_it_is() -> None:
    torch = machine.torch_facts()
    assert torch is not None
    assert torch.version == machine.installed("torch") or torch.version.startswith(str(machine.installed("torch")))
    assert torch.numpy == ""
    assert len(torch.free) == len(torch.names) == len(torch.capabilities)


def test_clashes_are_versions_out_of_range_and_absent_packages() -> None:
    wanted = [Requirement("packaging>=1"), Requirement("packaging<1"), Requirement("no-such-distribution>=2")]
    found = list(machine.clashes("a", wanted))
    assert [(str(one.requirement), one.found is None) for one in found] == [
        ("packaging<1", False),
        ("no-such-distribution>=2", True),
    ]


def test_requirements_are_those_of_this_system_and_of_the_extras_asked_for() -> None:
    lines = ["a>=1", "b; extra == 'train'", "c; extra == 'test'", "d; sys_platform == 'nowhere'", "!? no requirement"]
    assert [one.name for one in machine.applying(lines, ("train",))] == ["a", "b"]


def test_pins_are_read_by_canonical_name(tmp_path: Path) -> None:
    (tmp_path / "constraints.txt").write_text("# why\nGitPython==3.2.1\nrouge_score==0.1.2\n")
    found = machine.pins(tmp_path / "constraints.txt")
    assert found == {"gitpython": "GitPython==3.2.1", "rouge-score": "rouge_score==0.1.2"}
    assert machine.pins(tmp_path / "none") == {}


def test_a_driver_tells_its_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = f"case \"$1\" in --query*) printf '%s' '{CSV}';; *) printf '%s' '{HEADER}';; esac\n"
    tool(tmp_path, "nvidia-smi", script)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    found = machine.driver()
    assert found is not None
    assert (found.version, found.cuda, found.error) == ("570.86.10", "12.8", "")
    assert found.gpus == (machine.Gpu("NVIDIA GeForce RTX 4090", 24564 * 2**20, 23900 * 2**20, "8.9"),)


def test_a_driver_that_does_not_answer_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
    tool(tmp_path, "nvidia-smi", f'echo "{said}"; exit 9\n')
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    found = machine.driver()
    assert found is not None
    assert (found.gpus, found.error) == ((), said)


def test_no_tool_is_no_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.driver() is None


def test_cards_are_counted_on_the_bus(tmp_path: Path) -> None:
    for name, vendor, kind in (("0", "0x10de", "0x030200"), ("1", "0x10de", "0x040300"), ("2", "0x1002", "0x030000")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "vendor").write_text(f"{vendor}\n")
        (tmp_path / name / "class").write_text(f"{kind}\n")
    (tmp_path / "3").mkdir()
    assert machine.cards(tmp_path) == 1


def test_a_control_group_limits_the_memory(tmp_path: Path) -> None:
    proc, group = tmp_path / "proc", tmp_path / "group"
    proc.mkdir()
    group.mkdir()
    (proc / "meminfo").write_text("MemTotal: 99 kB\nMemAvailable:    2000 kB\n")
    assert machine.free_memory(proc, group) == 2000 * 1024
    (group / "memory.max").write_text("max\n")
    (group / "memory.current").write_text("1000\n")
    assert machine.free_memory(proc, group) == 2000 * 1024
    (group / "memory.max").write_text("500000\n")
    (group / "memory.current").write_text("300000\n")
    (group / "memory.stat").write_text("anon 5\ninactive_file 100000\n")
    assert machine.free_memory(proc, group) == 300_000


def test_free_disk_is_of_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    assert machine.free_disk(tmp_path / "not" / "yet") == machine.free_disk(tmp_path)
