"""Where things lie on disk: the workspace, what the wheel ships, a run's folder, and how files are written whole."""

from __future__ import annotations

import os
import platform
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import orjson
from pydantic import ValidationError

from instructlab_like.errors import InputError, explain, position

if TYPE_CHECKING:
    from pydantic import BaseModel  # at run time it would cost `ilk why` more than all it does

SCRATCH = re.compile(r"\..+\.([a-z0-9_]{8}|ordered)")  # names of files that are being written
PACKAGE = Path(__file__).parent
SHIPPED = PACKAGE / "shipped"  # present in the wheel only; a checkout has these folders beside the package
FORMAT = 3  # version of every file of a run's folder
RUNS = Path("runs")
HEAD = 65_536  # bytes of run.yaml in which its format stands


def shipped_root() -> Path:
    return SHIPPED if SHIPPED.is_dir() else PACKAGE.parent


def find(name: str) -> Path:
    """A file or folder by its name relative to the workspace: the user's own wins, else the shipped one.

    The path is returned even if neither exists (the caller names what is missing).
    """
    given = Path(name).expanduser()
    if given.is_absolute() or given.exists():
        return given
    shipped = shipped_root() / name
    return shipped if shipped.exists() else given


def cache_dir() -> Path:
    """Where fetched document repositories are kept: $ILK_CACHE, else $XDG_CACHE_HOME/ilk, else ~/.cache/ilk."""
    told = os.environ.get("ILK_CACHE")
    if told:
        return Path(told)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ilk"


class Run:
    """The folder of one run; every stage reads what the stage before it wrote here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = folder / "run.yaml"
        self.ledger = folder / "ledger.sqlite"
        self.plan = folder / "1-plan.jsonl"
        self.routes = folder / "1-routes.jsonl"  # which teacher was chosen for which leaf and role, and why
        self.samples = folder / "2-samples.jsonl"
        self.replaced = folder / "2-replaced.jsonl"  # samples that filters put in the place of others
        self.verdicts = folder / "3-verdicts.jsonl"
        self.judged = folder / "3-judged.jsonl"  # which leaf needed which call of a filter's judge
        self.waterfall = folder / "3-waterfall.json"
        self.mix = folder / "3-target.json"  # how near the kept samples come to the mix that was wanted
        self.dataset = folder / "4-dataset"
        self.training = folder / "5-training"
        self.evaluation = folder / "6-evaluation"
        self.asked = self.evaluation / "asked.jsonl"  # which leaf needed which call to a served model or a judge
        self.report = folder / "7-report.html"

    @property
    def name(self) -> str:
        """What `--run` takes for this run."""
        return self.folder.name if self.folder.parent == RUNS else str(self.folder)

    @property
    def format(self) -> int | None:
        """The version of the format that run.yaml says it was written by; None if there is none, or it does not say."""
        try:
            with self.manifest.open("rb") as file:
                found = re.search(rb"^format: *(\d{1,9}) *$", file.read(HEAD), re.MULTILINE)
        except FileNotFoundError:
            return None
        return int(found[1]) if found else None

    def need_format(self) -> None:
        """Raise InputError for a run that a newer or an older version wrote."""
        found = self.format
        if found is None or found == FORMAT:
            return
        where = str(self.folder)
        if found > FORMAT:
            what = f"was written by a newer version (format {found}, this one knows {FORMAT})"
            raise InputError(what, where=where, fix="upgrade instructlab-like, or start another run")
        fix = f"run `ilk generate --run {self.name}` (no answer is asked again)"
        raise InputError(f"was written by format {found}, this is format {FORMAT}", where=where, fix=fix)

    def index(self, rows: Path) -> Path:
        """Where the index of one of this run's JSONL files lies."""
        return self.folder / ".index" / rows.stem

    @property
    def remembered(self) -> Path:
        """Where filters keep what they need not find out twice."""
        return self.folder / ".index" / "sift"

    @property
    def adapter(self) -> Path:
        return self.training / "adapter"

    @property
    def test(self) -> Path:
        return self.dataset / "data" / "test.jsonl"

    @property
    def preferences(self) -> Path:
        return self.dataset / "preferences.jsonl"

    @property
    def reports(self) -> tuple[Path, ...]:
        """The page and its twins."""
        return tuple(self.report.with_suffix(suffix) for suffix in (".html", ".md", ".json"))

    @property
    def summary(self) -> Path:
        return self.evaluation / "summary.json"


def run_folder(name: str, root: Path = RUNS) -> Run:
    """The run called `name`; a name with a separator is taken as a path."""
    given = Path(name)
    return Run(given if given.is_absolute() or len(given.parts) > 1 else root / name)


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """A file to write to that takes the place of `path` at the end, whole; after an error `path` is as it was.

    A reader sees the old bytes or the new ones, never a part. `durable`: they are on disk on return.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        Path(scratch).chmod(0o644)
        Path(scratch).replace(path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise


def write_whole(path: Path, data: bytes) -> None:
    """Write so that a reader sees the old bytes or the new ones, never a part."""
    with replacing(path) as file:
        file.write(data)


def scratch(folder: Path) -> list[Path]:
    """What writes that were interrupted have left in a folder."""
    return sorted(path for path in folder.iterdir() if SCRATCH.fullmatch(path.name)) if folder.is_dir() else []


def dump(value: object) -> bytes:
    """One JSON line with sorted keys: the same value gives the same bytes everywhere."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def write_records(path: Path, records: Iterable[BaseModel]) -> int:
    """Write one JSON line per record; returns how many."""
    count = 0
    with replacing(path) as file:
        for record in records:
            file.write(dump(record.model_dump(mode="json")))
            count += 1
    return count


Kind = TypeVar("Kind", bound="BaseModel")


def read_records(path: Path, kind: type[Kind]) -> Iterator[Kind]:
    """The records of a JSONL file; a line that is none is an InputError with its position."""
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise InputError("there is no such file", where=str(path), fix="run the stage that writes it first") from error
    with file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                yield kind.model_validate_json(line)
            except ValidationError as error:
                fix = "the file was changed by hand or by another version"
                raise InputError("; ".join(explain(error)), where=position(path, number), fix=fix) from error


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def versions() -> dict[str, str]:
    """Python and the installed versions of what decides a run's bytes; packages that are absent are left out."""
    from importlib.metadata import PackageNotFoundError, version  # slow, and needed where a run is written only

    found = {"python": platform.python_version()}
    for name in ("instructlab-like", "jinja2", "pydantic", "gitpython", "torch", "transformers", "peft", "accelerate"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
