"""`ilk doctor`: what of this machine's stack works, what is broken, and the command that repairs it.

It must run where torch, transformers or git are missing or broken, so it imports none of them.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import sysconfig
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, TypeAlias

import orjson
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from instructlab_like.console import aside, say, working
from instructlab_like.errors import GateError, ModelError, RecipeError
from instructlab_like.printable import escaped
from instructlab_like.recipe import TrainRecipe
from instructlab_like.records import Record
from instructlab_like.tuning import estimate, machine
from instructlab_like.tuning.hub import HUB_NAME, asked, cache, place_of
from instructlab_like.workspace import RUNS, SHIPPED, cache_dir, cores, find, shipped_root

Status: TypeAlias = Literal["ok", "note", "broken"]

STACK = ("numpy", "safetensors", "tokenizers", "torch", "transformers", "accelerate", "peft")
NEEDS = {  # whose failure makes an import of the other fail
    "torch": ("numpy",),
    "transformers": ("numpy", "safetensors", "tokenizers", "torch"),
    "accelerate": ("numpy", "safetensors", "torch"),
    "peft": ("numpy", "safetensors", "tokenizers", "torch", "transformers", "accelerate"),
}
EXTRAS = {"parquet": ("pyarrow",), "semantic": ("safetensors", "tokenizers"), "presidio": ("presidio_analyzer",)}
TRACKERS = ("tensorboard", "trackio", "wandb", "mlflow")
GIT = "2.37"  # the oldest that fetches a document's repository by its pinned address
ROWS = {False: 1024, True: 8192}  # tokens of a row that training derives on a CPU, on a GPU
LEARNT = 0.7  # share of a row's tokens that are answers; in the chats that were measured 0.69
STATES = 4  # checkpoints of a phase
BUSY = 1.5  # processes that want a core, for each core
SHOWN = {"ok": "ok    ", "note": "note  ", "broken": "BROKEN"}


class Finding(Record):
    """One thing that was looked at, how it is, and the command or change that repairs it."""

    about: str
    status: Status
    what: str
    fix: str = ""


class Report(Record):
    """The JSON form."""

    format: int = 1
    works: bool
    findings: tuple[Finding, ...]
    memory: dict[str, int] | None = None
    fit: estimate.Fit | None = None


@dataclass(frozen=True, slots=True)
class Pip:
    """The commands that install into the Python that is running."""

    python: str
    constraints: str  # path, where this is a checkout
    pins: dict[str, str]
    prefix: str  # what must be run before

    def install(self, *wanted: str, again: bool = False, whole: bool = False) -> str:
        """`again`: replace what is there, alone; `whole`: with all that it requires."""
        words = [self.python, "-m", "pip", "install"]
        words += ["-c", self.constraints] if self.constraints else []
        words += ["--force-reinstall"] if again else []
        words += ["--no-deps"] if again and not whole else []
        return self.prefix + shlex.join([*words, *(self.pinned(one) for one in wanted)])

    def pinned(self, wanted: str) -> str:
        """The version that the project was tested with, where it says one and the requirement takes it."""
        told = Requirement(wanted)
        pin = self.pins.get(canonicalize_name(told.name))
        return pin if pin and machine.accepts(told, pin.partition("==")[2]) else wanted


def doctor(recipe: TrainRecipe, *, form: Literal["text", "json"] = "text") -> None:
    """Look at everything that training needs and say how it is. Raises GateError if something needed is broken."""
    with aside(form == "json"), working("looking at this machine"):
        found = look(recipe)
    broken = [finding.about for finding in found.findings if finding.status == "broken"]
    if form == "json":
        say(orjson.dumps(found.model_dump(mode="json"), option=orjson.OPT_INDENT_2).decode())
    else:
        for line in lines(found.findings):
            say(escaped(line))
    if broken:
        what = f"{len(broken)} broken: {', '.join(dict.fromkeys(broken))}"
        raise GateError(what, fix="do what stands behind the arrows, from the top, then run ilk doctor again")


def lines(findings: Sequence[Finding]) -> Iterator[str]:
    width = max(len(finding.about) for finding in findings)
    for finding in findings:
        yield f"{SHOWN[finding.status]}  {finding.about:<{width}}  {finding.what}"
        if finding.fix:
            yield f"{'':{width + 10}}→ {finding.fix}"


def look(recipe: TrainRecipe) -> Report:
    pip = installer()
    outcomes = machine.imported(STACK)
    torch = machine.torch_facts() if outcomes["torch"].ended == "well" else None
    findings = [python()]
    findings += packages(outcomes, pip)
    if torch:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        findings += gpu(torch, machine.driver(), machine.cards(), pip, visible=visible)
    findings += launcher(outcomes)
    findings += [git()]
    findings += threads(recipe, torch)
    told, memory, fit = model(recipe, torch)
    findings += told
    findings += disk(memory, recipe)
    findings += extras(recipe, pip)
    parts = memory.model_dump(include=set(PARTS)) | {"total": memory.total} if memory else None
    works = all(finding.status != "broken" for finding in findings)
    return Report(works=works, findings=tuple(findings), memory=parts, fit=fit)


PARTS = ("weights", "adapter", "gradients", "moments", "activations", "logits", "overhead")


# --- Python and packages ----------------------------------------------------------------------------------------


def python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    kind = "virtual environment" if sys.prefix != sys.base_prefix else "no virtual environment"
    return Finding(about="python", status="ok", what=f"{version}, {shown(Path(sys.executable))} ({kind})")


def installer() -> Pip:
    """How this Python gets packages: pip may be missing, or its distribution may forbid installing outside a venv."""
    root = shipped_root()
    constraints = root / "constraints.txt"
    checkout = not SHIPPED.is_dir() and constraints.is_file()
    own, prefix = shown(Path(sys.executable)), ""
    stdlib = Path(sysconfig.get_path("stdlib"))
    if sys.prefix == sys.base_prefix and (stdlib / "EXTERNALLY-MANAGED").is_file():
        prefix = f"{shlex.join([own, '-m', 'venv', '.venv'])} && "
        own = ".venv/bin/python"
    elif find_spec("pip") is None:
        prefix = f"{shlex.join([own, '-m', 'ensurepip', '--upgrade'])} && "
    told = shown(constraints) if checkout else ""
    return Pip(own, told, machine.pins(constraints) if checkout else {}, prefix)


def shown(path: Path) -> str:
    """A path as one types it here: relative below this folder. Links stay, since a venv's Python is one."""
    path = path.absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def wanted() -> dict[str, Requirement]:
    """What this project requires of the stack: as a checkout's pyproject.toml says, else the installed metadata."""
    pyproject = shipped_root() / "pyproject.toml"
    if not SHIPPED.is_dir() and pyproject.is_file():
        project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
        told = machine.applying([*project["dependencies"], *project["optional-dependencies"]["train"]], ())
    else:
        told = iter(machine.requirements("instructlab-like", ("train",)))
    return {canonicalize_name(one.name): one for one in told}


def packages(outcomes: dict[str, machine.Outcome], pip: Pip) -> Iterator[Finding]:
    """Each package of the stack: there, of a version that is accepted, and importable."""
    ranges = wanted()
    well = {name for name in STACK if outcomes[name].ended == "well"}
    for name in STACK:
        yield package(name, ranges.get(name, Requirement(name)), outcomes[name], well, pip)
    for name in STACK:
        for clash in machine.clashes(name, machine.requirements(name)):
            other = canonicalize_name(clash.requirement.name)
            what = f"{name} {machine.installed(name)} wants {clash.requirement.name}{clash.requirement.specifier}, "
            what += f"{clash.found} is installed" if clash.found else "which is not installed"
            if other not in STACK or other in well:
                fix = pip.install(f"{clash.requirement.name}{clash.requirement.specifier}")
                yield Finding(about=other, status="note" if name in well else "broken", what=what, fix=fix)


def package(name: str, requirement: Requirement, outcome: machine.Outcome, well: Iterable[str], pip: Pip) -> Finding:
    version = machine.installed(name)
    asked_for = f"{name}{requirement.specifier}"
    told = outcome.told or {}
    origin, own = told.get("origin"), str(told.get("version") or "")
    if version is None and origin is None:
        return Finding(
            about=name, status="broken", what=f"is not installed, {asked_for} is needed", fix=pip.install(asked_for)
        )
    if shadow := shadowing(name, str(origin or ""), version):
        what = f"imports from {shadow}, in the place of the package" + (f" {version}" if version else "")
        if outcome.ended != "well" or (own and not machine.accepts(requirement, own)):
            return Finding(
                about=name, status="broken", what=f"{what}: {outcome.said or own}", fix=unshadow(Path(shadow))
            )
        return Finding(about=name, status="note", what=what, fix=unshadow(Path(shadow)))
    here = own if own and outcome.ended == "well" else version or own
    if here and not machine.accepts(requirement, here):
        what = f"{here} is installed, {asked_for} is needed"
        return Finding(about=name, status="broken", what=what, fix=pip.install(asked_for))
    if outcome.ended == "well":
        return Finding(about=name, status="ok", what=f"{here} ({requirement.specifier or 'any version'})")
    return unimportable(name, here or "", outcome, well, pip)


def unimportable(name: str, version: str, outcome: machine.Outcome, well: Iterable[str], pip: Pip) -> Finding:
    """Why an import failed, which may be another package's fault."""
    how = {"error": "does not import", "crash": "crashes when imported", "hang": "hangs when imported"}[outcome.ended]
    what = f"{version} {how}: {outcome.said}"
    guilty = next((other for other in NEEDS.get(name, ()) if other not in well), None)
    if guilty:
        return Finding(about=name, status="broken", what=what, fix=f"repair {guilty} first")
    absent = missing_module(outcome.said)
    if absent and absent != name:
        return Finding(about=name, status="broken", what=what, fix=pip.install(absent))
    torn = next((one for one in ("torchvision", "torchaudio", "torchcodec") if one in outcome.said), None)
    if torn:
        fix = shlex.join([pip.python, "-m", "pip", "uninstall", "-y", torn])
        return Finding(about=name, status="broken", what=what, fix=f"{fix} (it is of another torch, and not needed)")
    exact = f"{name}=={version.partition('+')[0]}"
    return Finding(about=name, status="broken", what=what, fix=pip.install(exact, again=True))


def missing_module(said: str) -> str:
    """The distribution to install for `No module named 'a.b'`; most bear their module's name."""
    _, found, rest = said.partition("ModuleNotFoundError: No module named '")
    module = rest.partition("'")[0].partition(".")[0]
    return {"yaml": "pyyaml", "PIL": "pillow", "google": "protobuf", "dateutil": "python-dateutil"}.get(
        module, module if found and module.isidentifier() else ""
    )


def shadowing(name: str, origin: str, version: str | None) -> str:
    """The file that is imported instead of the installed package; empty when it is the package's own."""
    if not origin or version is None:
        return ""
    folder = machine.home(name)
    return "" if folder is None or Path(origin).resolve().is_relative_to(folder) else origin


def unshadow(origin: Path) -> str:
    entry = origin.parent.parent if origin.name == "__init__.py" else origin.parent
    given = [Path(one).resolve() for one in os.environ.get("PYTHONPATH", "").split(os.pathsep) if one]
    if entry.resolve() in given:
        return "unset PYTHONPATH"
    stray = origin.parent if origin.name == "__init__.py" else origin
    return shlex.join(["mv", shown(stray), f"{shown(stray)}.aside"])


# --- GPUs -------------------------------------------------------------------------------------------------------


def gpu(
    torch: machine.Torch, driver: machine.Driver | None, cards: int, pip: Pip, *, visible: str | None
) -> Iterator[Finding]:
    """Whether torch's build, the driver and the GPUs are of one mind. `visible`: CUDA_VISIBLE_DEVICES, if it is set."""
    if torch.numpy:
        fix = pip.install("torch", "numpy")
        yield Finding(about="torch", status="broken", what=f"cannot share arrays with numpy: {torch.numpy}", fix=fix)
    if torch.available:
        yield working_gpu(torch, driver, pip)
    elif visible is not None and visible.strip() in ("", "-1"):
        yield Finding(about="gpu", status="ok", what="hidden by CUDA_VISIBLE_DEVICES; trains on the CPU")
    elif driver is not None and driver.gpus:
        yield idle_gpu(torch, driver, pip)
    elif cards or (driver is not None and torch.cuda):
        what = f"{several(cards, 'NVIDIA GPU')} in this machine" if cards else "nvidia-smi is installed"
        said = f"but the driver does not answer: {driver.error}" if driver else "but nvidia-smi is not: no driver"
        status: Status = "broken" if cards else "note"
        yield Finding(about="gpu", status=status, what=f"{what}, {said}; trains on the CPU", fix=driver_fix(driver))
    elif torch.cuda:
        what = f"torch is built for CUDA {torch.cuda}, and there is no NVIDIA driver: trains on the CPU, which works"
        yield Finding(about="gpu", status="note", what=what)
    else:
        yield Finding(about="gpu", status="ok", what=f"none; torch {torch.version} trains on the CPU")


def working_gpu(torch: machine.Torch, driver: machine.Driver | None, pip: Pip) -> Finding:
    names = ", ".join(f"{name} ({one})" for name, one in zip(torch.names, torch.capabilities, strict=False))
    build = f"CUDA {torch.cuda}" if torch.cuda else f"ROCm {torch.hip}, not tested with this project"
    serves = f", driver {driver.version} for CUDA {driver.cuda}" if driver and driver.version else ""
    what = f"{names}; torch for {build}{serves}"
    if torch.works:
        what += f"; a sum on it fails: {torch.works} (built for {', '.join(torch.built_for) or 'nothing'})"
        return Finding(about="gpu", status="broken", what=what, fix=gpu_build(pip, driver))
    if not torch.bf16:
        return Finding(about="gpu", status="note", what=f"{what}; no bfloat16, so float32 takes twice the memory")
    return Finding(about="gpu", status="ok", what=f"{what}; bfloat16")


def idle_gpu(torch: machine.Torch, driver: machine.Driver, pip: Pip) -> Finding:
    """A GPU with a driver that torch does not use."""
    names = ", ".join(one.name for one in driver.gpus)
    aside = "; to train on the CPU all the same: CUDA_VISIBLE_DEVICES= ilk …"
    if torch.cuda is None:
        what = f"{names} is here, and torch {torch.version} is a build for the CPU"
        return Finding(about="gpu", status="broken", what=what, fix=gpu_build(pip, driver) + aside)
    if driver.cuda and Version(driver.cuda).major < Version(torch.cuda).major:
        what = f"{names}: driver {driver.version} serves CUDA {driver.cuda}, torch is built for {torch.cuda}"
        fix = f"a newer driver, or a build of torch for CUDA {driver.cuda}: {gpu_build(pip, driver)}"
        return Finding(about="gpu", status="broken", what=what, fix=fix + aside)
    what = f"{names} is here, and CUDA does not start: {torch.works or 'torch sees no device'}"
    fix = "sudo modprobe nvidia_uvm, or reboot after a change of driver; in a container: start it with --gpus all"
    return Finding(about="gpu", status="broken", what=what, fix=fix + aside)


def gpu_build(pip: Pip, driver: machine.Driver | None) -> str:
    """The command that replaces torch's build, from the index that TORCH_INDEX names."""
    index = os.environ.get("TORCH_INDEX")
    command = pip.install("torch", again=True, whole=True)
    if index:
        return f"{command} --index-url {shlex.quote(index)}"
    newest = f" up to {driver.cuda}" if driver and driver.cuda else ""
    return f"{command} (--index-url TORCH_INDEX, that of builds for CUDA{newest}, where the default brings another)"


def driver_fix(driver: machine.Driver | None) -> str:
    if driver is not None:
        return "sudo modprobe nvidia, or reboot after a change of driver; nvidia-smi must list the GPU"
    if shutil.which("ubuntu-drivers"):
        return "sudo ubuntu-drivers install, then reboot"
    package = {"apt-get": "nvidia-driver", "dnf": "akmod-nvidia", "zypper": "nvidia-open-driver-G06-signed-kmp-default"}
    manager = next((one for one in package if shutil.which(one)), None)
    command = f"sudo {manager} install {package[manager]}, then reboot; " if manager else "install NVIDIA's driver; "
    return f"{command}to train on the CPU all the same: CUDA_VISIBLE_DEVICES= ilk …"


# --- programs and threads ---------------------------------------------------------------------------------------


def launcher(outcomes: dict[str, machine.Outcome]) -> Iterator[Finding]:
    """Whether accelerate starts a script as `ilk train` has it do; asked only where its imports work."""
    if any(outcomes[name].ended != "well" for name in ("torch", "accelerate")):
        return
    config = find("training/accelerate/cpu.yaml")
    with tempfile.TemporaryDirectory(prefix="ilk-") as folder:
        script = Path(folder) / "started.py"
        script.write_text(f"print('{machine.MARK}{{}}')\n", encoding="ascii")
        command = [sys.executable, "-m", "accelerate.commands.launch", "--quiet", "--config_file", str(config)]
        found = machine.ended([*command, str(script)], seconds=machine.PATIENCE)
    if found.told is not None:
        yield Finding(about="launcher", status="ok", what="accelerate launch starts a process")
    else:
        fix = f"see what it says: {shlex.join([*command[:3], '--help'])}"
        yield Finding(
            about="launcher", status="broken", what=f"accelerate launch does not start: {found.said}", fix=fix
        )


def git() -> Finding:
    tool = shutil.which("git")
    if tool is None:
        what = "is not installed; documents of knowledge leaves are read with it"
        return Finding(about="git", status="broken", what=what, fix=system_install("git"))
    outcome = machine.ended([tool, "--version"], seconds=machine.QUICK)
    version = next((word for word in outcome.said.split() if word[:1].isdigit()), "")
    numbers = version.split(".")
    if outcome.ended != "well" or not all(one.isdigit() for one in numbers[:2]):
        return Finding(about="git", status="broken", what=f"does not run: {outcome.said}", fix=system_install("git"))
    if tuple(map(int, numbers[:2])) < tuple(map(int, GIT.split("."))):
        what = f"{version} is older than {GIT}: documents from hosts of your own cannot be fetched"
        return Finding(about="git", status="note", what=what, fix=system_install("git"))
    return Finding(about="git", status="ok", what=version)


def system_install(package: str) -> str:
    for manager, command in {"apt-get": "apt-get install", "dnf": "dnf install", "apk": "apk add", "brew": ""}.items():
        if shutil.which(manager):
            return f"sudo {command} {package}" if command else f"brew install {package}"
    return "xcode-select --install" if sys.platform == "darwin" else f"install {package} with the system's packages"


def threads(recipe: TrainRecipe, torch: machine.Torch | None) -> Iterator[Finding]:
    """Threads that fight for cores cost a training on a CPU up to nine tenths of its speed."""
    if torch and torch.available:
        return
    here, told = cores(), os.environ.get("OMP_NUM_THREADS", "")
    used, source = recipe.threads or here, "recipe's threads" if recipe.threads else "cores"
    what = f"{several(used, 'thread')} ({source}), {several(here, 'core')}"
    if told and not told.split(",")[0].strip().isdigit():
        yield Finding(
            about="threads", status="note", what=f"OMP_NUM_THREADS={told} is no number", fix="unset OMP_NUM_THREADS"
        )
    if used > here:
        yield Finding(about="threads", status="note", what=what, fix=f"threads: {here} in the recipe's train section")
    elif used > 1 and (busy := machine.load() or 0.0) > BUSY * here:
        what += f", and {busy:.0f} processes want them: torch's threads wait for one another"
        yield Finding(about="threads", status="note", what=what, fix="threads: 1 in the recipe's train section")
    else:
        yield Finding(about="threads", status="ok", what=what)


# --- the model and its place ------------------------------------------------------------------------------------


def model(
    recipe: TrainRecipe, torch: machine.Torch | None
) -> tuple[list[Finding], estimate.Memory | None, estimate.Fit | None]:
    """Whether the model is there, and whether its training fits on the GPU or in the machine."""
    try:
        folder = place_of(recipe.model)
        if folder is None:
            return [on_hub(recipe.model)], None, None
        told = estimate.shape(folder)
    except estimate.UnknownModelError as error:
        what = f"{recipe.model}: its memory is not known: {error.what}"
        return [Finding(about="model", status="note", what=what, fix=error.fix)], None, None
    except ModelError as error:
        where = f"{error.where}: " if error.where else ""
        return [Finding(about="model", status="broken", what=f"{where}{error.what}", fix=error.fix)], None, None
    if not told.exact:
        pickled = any(folder.glob("*.bin"))
        what = f"{folder} holds no *.safetensors" + (", only pickled weights, which are not loaded" if pickled else "")
        fix = "download or copy the model again, all of its *.safetensors files"
        return [Finding(about="model", status="broken", what=what, fix=fix)], None, None
    size = f"{told.kind}, {told.parameters:,} parameters" + (f"; {told.note}" if told.note else "")
    found = [Finding(about="model", status="ok", what=f"{recipe.model}: {size}")]
    try:
        memory = planned(recipe, told, torch)
    except RecipeError as error:
        what = f"{error.where}: {error.what}"
        return [*found, Finding(about="memory", status="broken", what=what, fix=error.fix)], None, None
    available, place = room(recipe, torch)
    if available is None:
        what = f"needs {estimate.gigabytes(memory.total)} GB; what this machine has is not known"
        return [*found, Finding(about="memory", status="note", what=what)], memory, None
    fit = estimate.fits(memory, available, place=place)
    return [*found, fitting(fit, memory)], memory, fit


def planned(recipe: TrainRecipe, told: estimate.ModelShape, torch: machine.Torch | None) -> estimate.Memory:
    """The memory of a step as training would derive it, on a GPU with all computed again that may be; of a row so many
    tokens are learnt as in usual chats."""
    on_gpu = bool(torch and torch.available)
    half = recipe.precision == "bfloat16" or (recipe.precision == "auto" and on_gpu and bool(torch and torch.bf16))
    wanted = recipe.row_tokens or ROWS[on_gpu]
    row = min(wanted, told.row_limit or wanted)
    return estimate.memory(
        told,
        rank=recipe.lora.rank,
        effective_rank=recipe.osf.ranks(1)[0] if recipe.osf else None,
        targets=(recipe.osf or recipe.lora).targets,
        dora=recipe.lora.dora,
        dtype_bytes=2 if half else 4,
        row_tokens=row,
        trained_tokens=round(LEARNT * row),
        on_gpu=on_gpu,
        dropout=recipe.lora.dropout > 0,
        recompute=("full" if on_gpu else "none") if recipe.recompute == "auto" else recipe.recompute,
        quantized=recipe.quantize != "none",
        processes=recipe.processes * recipe.machines if recipe.shard else 1,
    )


def room(recipe: TrainRecipe, torch: machine.Torch | None) -> tuple[int | None, str]:
    """Bytes that are free where training would run, and what that place is called."""
    if torch and torch.available and torch.free:
        free = min(torch.free[: recipe.processes])
        return free, "this GPU" if recipe.processes == 1 else "the fullest of these GPUs"
    return machine.free_memory(), "this machine"


def fitting(fit: estimate.Fit, memory: estimate.Memory) -> Finding:
    kind = ("bfloat16" if memory.dtype_bytes == 2 else "float32") + (", base in 4 bits" if memory.quantized else "")
    adapter = f"effective rank {memory.effective_rank}" if memory.effective_rank else f"rank {memory.rank}"
    what = f"{fit.words} ({adapter}, rows of {memory.row_tokens:,} tokens, {kind})"
    if memory.on_gpu:
        what += "; derived, not yet measured on GPUs"
    status: Status = {"fits": "ok", "tight": "note", "does not fit": "broken"}[fit.verdict]  # type: ignore[assignment]
    changed = [f"row_tokens: {fit.row_tokens}"] if fit.row_tokens and fit.row_tokens != memory.row_tokens else []
    changed += [f"lora: {{rank: {fit.rank}}}"] if fit.rank and fit.rank != memory.rank else []
    changed += [f"recompute: {fit.recompute}"] if fit.recompute else []
    changed += [f"quantize: {fit.quantize}"] if fit.quantize else []
    if fit.verdict == "does not fit":
        fix = f"in the recipe's train section: {', '.join(changed)}" if changed else "--model with a smaller one"
        return Finding(about="memory", status=status, what=what, fix=fix)
    return Finding(about="memory", status=status, what=what, fix="" if fit.verdict == "fits" else "end other programs")


def on_hub(name: str) -> Finding:
    """A model that must be fetched before it can be trained."""
    found = asked(name)
    fetch = shlex.join(["hf", "download", name])
    if found.error:
        what = f"{name} is not in the cache, and the hub does not give it: {found.error}"
        fix = f"check the name and the network; then {fetch} (a gated one: hf auth login first)"
        return Finding(about="model", status="broken", what=what, fix=fix)
    size = f"{estimate.gigabytes(found.size)} GB" if found.size else "its weights"
    what = f"{name} is not in the cache: training downloads {size} first; its memory is known after that"
    gated = "hf auth login, then " if found.gated else ""
    return Finding(about="model", status="note", what=what, fix=f"{gated}{fetch}")


def disk(memory: estimate.Memory | None, recipe: TrainRecipe) -> Iterator[Finding]:
    """Room for checkpoints in the runs' folder, and for documents and models in the caches."""
    phases = len(recipe.phases)
    adapter = memory.trained * 4 if memory else 0
    needed = adapter * (phases * (1 + 3 * STATES) + 1) + estimate.GB // 10
    for about, place, least in (("disk", RUNS, needed), ("cache", cache_dir(), estimate.GB)):
        free = machine.free_disk(place)
        if free is None:
            continue
        what = f"{estimate.gigabytes(free)} GB free in {place}"
        if free >= least:
            yield Finding(about=about, status="ok", what=what)
            continue
        what += f", {estimate.gigabytes(least)} may be needed"
        fix = "ilk runs clean says what may go" if about == "disk" else "free space, or set ILK_CACHE to another disk"
        yield Finding(about=about, status="broken" if about == "disk" else "note", what=what, fix=fix)
    if HUB_NAME.fullmatch(recipe.model) and not find(recipe.model).exists():
        free = machine.free_disk(cache())
        what = f"{estimate.gigabytes(free)} GB free in {cache()}" if free is not None else f"{cache()} cannot be read"
        yield Finding(about="models", status="ok" if free else "note", what=what)


def extras(recipe: TrainRecipe, pip: Pip) -> Iterator[Finding]:
    """Optional parts; a tracker that the recipe names is not optional."""
    there = [name for name, modules in EXTRAS.items() if all(find_spec(one) for one in modules)]
    absent = [name for name in EXTRAS if name not in there]
    trackers = [name for name in TRACKERS if find_spec(name)]
    has = f"{', '.join([*there, *trackers]) or 'none'} installed"
    if absent:
        root = shipped_root()
        project = f"{shown(root)}[{','.join(absent)}]" if pip.constraints else f"instructlab-like[{','.join(absent)}]"
        words = [
            pip.python,
            "-m",
            "pip",
            "install",
            *(["-c", pip.constraints, "-e"] if pip.constraints else []),
            project,
        ]
        yield Finding(
            about="extras",
            status="ok",
            what=f"{has}; {', '.join(absent)} would need",
            fix=pip.prefix + shlex.join(words),
        )
    else:
        yield Finding(about="extras", status="ok", what=has)
    if lacking := [name for name in recipe.trackers if name not in trackers]:
        what = f"the recipe logs to {', '.join(lacking)}, not installed"
        yield Finding(about="trackers", status="broken", what=what, fix=pip.install(*lacking))


def several(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
