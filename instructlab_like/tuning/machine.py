"""What this machine and this Python offer to training: packages that import or do not, GPUs, drivers, memory, cores.

Every import is tried in a process of its own, since a package may crash or hang; this module imports none of them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Literal, TypeAlias

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from instructlab_like.workspace import cores

PATIENCE = 180.0  # seconds for an import; from a cold network disk torch takes a minute
QUICK = 15.0  # seconds for a tool that answers from memory
MARK = "ilk-found:"
NVIDIA = "0x10de"
MEBI = 2**20

Ended: TypeAlias = Literal["well", "error", "crash", "hang"]

# What training needs of each package, beyond its bare import: transformers and peft import their parts when asked.
WANTED = {
    "numpy": "import numpy; numpy.ones(2) @ numpy.ones(2)",
    "safetensors": "import safetensors; from safetensors import safe_open",
    "tokenizers": "import tokenizers; from tokenizers import Tokenizer",
    "torch": "import torch; torch.ones(2) @ torch.ones(2); torch.nn.Linear(2, 2)(torch.ones(1, 2)).sum().backward()",
    "transformers": "import transformers; from transformers import AutoModelForCausalLM, LlamaForCausalLM",
    "accelerate": "import accelerate; from accelerate.accelerator import Accelerator",
    "peft": "import peft; from peft import LoraConfig, get_peft_model",
}
TRIAL = """
import importlib.util
found = importlib.util.find_spec({name!r})
origin = found.origin if found else None
tell(dict(origin=origin))
{wanted}
tell(dict(origin=origin, version=str(getattr({name}, "__version__", ""))))
"""
TORCH = """
import torch
told = {"version": torch.__version__, "cuda": torch.version.cuda, "hip": getattr(torch.version, "hip", None)}
told |= {"available": False, "names": [], "capabilities": [], "built_for": [], "free": [], "bf16": False}
told |= {"works": "", "numpy": ""}
try:
    import numpy
    torch.from_numpy(numpy.ones(2)).numpy()
except (ImportError, RuntimeError, TypeError) as error:
    told["numpy"] = str(error).splitlines()[0]
told["available"] = torch.cuda.is_available()
if told["available"]:
    count = torch.cuda.device_count()
    told["names"] = [torch.cuda.get_device_name(n) for n in range(count)]
    told["capabilities"] = [".".join(map(str, torch.cuda.get_device_capability(n))) for n in range(count)]
    told["free"] = [torch.cuda.mem_get_info(n)[0] for n in range(count)]
    told["built_for"] = torch.cuda.get_arch_list()
    told["bf16"] = bool(torch.cuda.is_bf16_supported(including_emulation=False))
    try:
        for n in range(count):
            one = torch.ones(16, 16, device=f"cuda:{n}")
            (one @ one).sum().item()
    except RuntimeError as error:
        told["works"] = str(error).splitlines()[0]
elif torch.version.cuda or told["hip"]:
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        told["works"] = str(error).splitlines()[0]
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a piece of Python ended in a process of its own, the last line it said, and what it told."""

    ended: Ended
    said: str = ""
    told: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Torch:
    """What torch says of itself and of the GPUs that it sees."""

    version: str
    cuda: str | None  # the CUDA that it was built with; None: a build for the CPU, or for another kind of GPU
    hip: str | None
    available: bool
    names: tuple[str, ...]
    capabilities: tuple[str, ...]
    built_for: tuple[str, ...]
    free: tuple[int, ...]  # bytes on each GPU
    bf16: bool
    works: str  # why a small sum on each GPU failed, or CUDA did not start; ""
    numpy: str  # why arrays cannot be shared with numpy; ""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU as its driver reports it; memory in bytes."""

    name: str
    memory: int
    free: int
    capability: str


@dataclass(frozen=True, slots=True)
class Driver:
    """What nvidia-smi says. `error`: why it says nothing, though it is there or should be."""

    version: str = ""
    cuda: str = ""  # the newest CUDA that it serves
    gpus: tuple[Gpu, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Clash:
    """A version that a package does not accept; `found` is None where it is not installed."""

    wanted_by: str
    requirement: Requirement
    found: str | None


# --- imports ----------------------------------------------------------------------------------------------------


def run(code: str, *words: str, seconds: float = PATIENCE) -> Outcome:
    """Run Python code in a process of its own, as a launcher in this folder would; `tell(…)` hands a mapping back."""
    prelude = f"import json\ndef tell(told): print('\\n{MARK}' + json.dumps(told), flush=True)\n"
    return ended([sys.executable, "-c", prelude + code, *words], seconds=seconds)


def ended(command: Sequence[str], *, seconds: float, environment: Mapping[str, str] | None = None) -> Outcome:
    """How a command ends within a time; all that it started is ended with it."""
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    except OSError as error:
        return Outcome("error", f"{command[0]}: {error.strerror}")
    try:
        out, complaints = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        stop(child)
        return Outcome("hang", f"gave no answer within {seconds:.0f} s")
    except BaseException:
        stop(child)
        raise
    said = last_line(complaints) or last_line(out)
    if child.returncode < 0:
        return Outcome("crash", f"the process was ended by {signal_name(-child.returncode)}", told_in(out))
    if child.returncode:
        return Outcome("error", said or f"exit code {child.returncode}", told_in(out))
    return Outcome("well", said, told_in(out))


def stop(child: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.communicate()


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def last_line(said: bytes) -> str:
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else ""


def told_in(out: bytes) -> Mapping[str, object] | None:
    lines = [line for line in out.decode(errors="replace").splitlines() if line.startswith(MARK)]
    try:
        told = json.loads(lines[-1].removeprefix(MARK)) if lines else None
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


def imported(names: Sequence[str], *, seconds: float = PATIENCE) -> dict[str, Outcome]:
    """Try to import packages with what training needs of them, each alone and as many at once as there are cores.

    Tells `origin`, the file that an import reads, and `version`, as the package itself says it.
    """
    codes = [TRIAL.format(name=name, wanted=WANTED.get(name, f"import {name}")) for name in names]
    with ThreadPoolExecutor(max_workers=max(1, min(4, cores()))) as pool:
        return dict(zip(names, pool.map(partial(run, seconds=seconds), codes), strict=True))


def torch_facts(*, seconds: float = PATIENCE) -> Torch | None:
    """What torch says of itself; None if it cannot."""
    told = run(TORCH + "tell(told)", seconds=seconds).told
    if told is None:
        return None
    lists = {name: words(told.get(name)) for name in ("names", "capabilities", "built_for")}
    return Torch(
        version=str(told.get("version")),
        cuda=text_or_none(told.get("cuda")),
        hip=text_or_none(told.get("hip")),
        available=told.get("available") is True,
        names=lists["names"],
        capabilities=lists["capabilities"],
        built_for=lists["built_for"],
        free=tuple(int(one) for one in words(told.get("free"))),
        bf16=told.get("bf16") is True,
        works=str(told.get("works") or ""),
        numpy=str(told.get("numpy") or ""),
    )


def words(value: object) -> tuple[str, ...]:
    return tuple(str(one) for one in value) if isinstance(value, list) else ()


def text_or_none(value: object) -> str | None:
    return str(value) if value else None


# --- versions ---------------------------------------------------------------------------------------------------


def installed(name: str) -> str | None:
    """The version of a distribution as its metadata says; None if it is not installed, or its metadata is torn."""
    try:
        found: str | None = distribution(name).metadata["Version"]
    except (PackageNotFoundError, OSError, UnicodeDecodeError):
        return None
    return found


def home(name: str) -> Path | None:
    """The folder that an installed distribution's modules lie in; None if its modules lie where it says (editable)."""
    try:
        found = distribution(name)
        editable = '"editable": true' in (found.read_text("direct_url.json") or "")
    except (PackageNotFoundError, OSError, UnicodeDecodeError):
        return None
    return None if editable else Path(str(found.locate_file(""))).resolve()


def requirements(name: str, extras: Sequence[str] = ()) -> tuple[Requirement, ...]:
    """What a distribution requires here: always, or with the extras named."""
    try:
        lines = distribution(name).requires or []
    except (PackageNotFoundError, OSError, UnicodeDecodeError):
        return ()
    return tuple(applying(lines, extras))


def applying(lines: Sequence[str], extras: Sequence[str]) -> Iterator[Requirement]:
    for line in lines:
        try:
            found = Requirement(line)
        except InvalidRequirement:
            continue
        if found.marker is None or any(found.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield found


def clashes(wanted_by: str, wanted: Sequence[Requirement]) -> Iterator[Clash]:
    """The requirements that what is installed does not meet."""
    for requirement in wanted:
        found = installed(requirement.name)
        if found is None or not accepts(requirement, found):
            yield Clash(wanted_by, requirement, found)


def accepts(requirement: Requirement, version: str) -> bool:
    """Whether a version is in a requirement's range; what is no version at all is not."""
    try:
        return requirement.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False


def pins(constraints: Path) -> dict[str, str]:
    """The `name==version` lines of a constraints file, by canonical name; empty where there is none."""
    if not constraints.is_file():
        return {}
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;#]+)", constraints.read_text(encoding="utf-8"), re.MULTILINE)
    return {canonicalize_name(name): f"{name}=={version}" for name, version in found}


# --- GPUs -------------------------------------------------------------------------------------------------------


def driver(*, seconds: float = QUICK) -> Driver | None:
    """What nvidia-smi says; None where there is no such tool."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    fields = "driver_version,memory.total,memory.free,compute_cap,name"
    found = printed([tool, f"--query-gpu={fields}", "--format=csv,noheader,nounits"], seconds=seconds)
    if isinstance(found, Outcome):
        return Driver(error=found.said)
    gpus, version = [], ""
    for line in found.splitlines():
        parts = [part.strip() for part in line.split(",", 4)]
        if len(parts) == 5:
            version = parts[0]
            gpus.append(Gpu(parts[4], mebibytes(parts[1]), mebibytes(parts[2]), parts[3]))
    header = printed([tool], seconds=seconds)
    cuda = re.search(r"CUDA Version:\s*([\d.]+)", header) if isinstance(header, str) else None
    error = "" if gpus else (last_line(found.encode()) or "it lists no GPU")
    return Driver(version, cuda[1] if cuda else "", tuple(gpus), error)


def mebibytes(told: str) -> int:
    return int(told) * MEBI if told.isdigit() else 0


def printed(command: Sequence[str], *, seconds: float) -> str | Outcome:
    """What a tool prints, or how it failed."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return Outcome("hang", f"gave no answer within {seconds:.0f} s")
    except OSError as error:
        return Outcome("error", str(error.strerror))
    if done.returncode:
        return Outcome("error", last_line(done.stdout) or last_line(done.stderr) or f"exit code {done.returncode}")
    return done.stdout.decode(errors="replace")


def cards(devices: Path = Path("/sys/bus/pci/devices")) -> int:
    """NVIDIA's display and compute devices on the PCI bus, which is asked without any driver; Linux only."""
    count = 0
    for device in sorted(devices.glob("*")):
        with suppress(OSError):
            kind = (device / "class").read_text().strip()
            count += (device / "vendor").read_text().strip() == NVIDIA and kind.startswith("0x03")
    return count


# --- memory and cores -------------------------------------------------------------------------------------------


def free_memory(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes that a new process may take: what the system has left, or what is left of the control group's limit."""
    told = re.search(r"^MemAvailable:\s+(\d+) kB", text_of(proc / "meminfo"), re.MULTILINE)
    left = int(told[1]) * 1024 if told else physical()
    if left is None:
        return None
    for limit, used, reclaimable in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        most, now = text_of(groups / limit).strip(), text_of(groups / used).strip()
        if most.isdigit() and now.isdigit():
            cache = re.search(
                rf"^{reclaimable} (\d+)$", text_of((groups / limit).with_name("memory.stat")), re.MULTILINE
            )
            left = min(left, max(0, int(most) - int(now) + (int(cache[1]) if cache else 0)))
    return left


def physical() -> int | None:
    """All of the memory, where the system does not say what is available."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None


def text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def load() -> float | None:
    """Processes that wanted a core, on average over the last minute."""
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):
        return None


def free_disk(path: Path) -> int | None:
    """Bytes free where `path` lies or would lie."""
    place = path.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        return shutil.disk_usage(place).free
    except OSError:
        return None
