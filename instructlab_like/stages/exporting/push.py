"""What an export wrote, or an adapter, to a hub: looked through, shown, and private unless told otherwise."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from instructlab_like.console import say, working
from instructlab_like.errors import InputError, StoppedError, position
from instructlab_like.printable import escaped
from instructlab_like.scans import secrets
from instructlab_like.scans.found import masked
from instructlab_like.stages.exporting.export import LIST, earlier

if TYPE_CHECKING:
    from huggingface_hub import HfApi

CARD = "README.md"
NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
# A folder of somebody's own, or of one machine.
PERSONAL = re.compile(
    r"(?:file://|(?<![\w./:-])/(?:home|Users|root|tmp|mnt|media|data|work|workspace|scratch|srv|opt|var)/)[\w.~/-]+"
    r"|\b[A-Za-z]:\\(?:Users|Documents)[\\\w.-]+|(?<!\w)~/[\w.-]+"
)
PROSE = (".md", ".yml", ".yaml", ".jinja", ".txt")
CONFIGURATION = ("config.json", "adapter_config.json", "generation_config.json", "dataset_info.json", "Modelfile")
SHOWN = 40  # lines of the card in a dry run
Kind = Literal["dataset", "model"]


class Parcel(NamedTuple):
    """What is to be sent."""

    kind: Kind
    folder: Path
    files: tuple[str, ...]
    sizes: tuple[int, ...]


def push(folder: Path, name: str, *, public: bool = False, dry_run: bool = False, api: HfApi | None = None) -> None:
    """Upload what stands in `folder` to the hub as `name`, by huggingface_hub and with its own token.

    `dry_run` shows what would be sent and sends nothing. Raises InputError for a folder without a card, a secret or
    a path of this machine in what people read, no token, or a repository that is public already; StoppedError where the
    hub does not answer or refuses.
    """
    if not NAME.fullmatch(name) or "--" in name or ".." in name:
        raise InputError("is no name on a hub", where=f"--push {name}", fix="write it as OWNER/NAME")
    found = parcel(folder)
    look_through(found)
    show(found, name, public=public, dry_run=dry_run)
    if dry_run:
        return
    send(found, name, public=public, api=api or hub())


def parcel(folder: Path) -> Parcel:
    """The files of an export, or all of a model's or adapter's folder, and which of the two it is."""
    if not folder.is_dir():
        raise InputError("there is no such folder", where=str(folder), fix="write it first, or name another")
    if (folder / LIST).is_file():
        kind: Kind = "dataset"
        names = sorted(earlier(folder))
    else:
        kind = "model"
        names = sorted(
            path.relative_to(folder).as_posix()
            for path in folder.rglob("*")
            if not path.is_dir() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        )
        if not any(one.endswith((".safetensors", ".gguf")) for one in names):
            fix = "name a folder that ilk export wrote, or an adapter's"
            raise InputError("holds neither an export nor a model", where=str(folder), fix=fix)
    if CARD not in names or not (folder / CARD).read_bytes().strip():
        fix = "--for hf, trl, axolotl, llama-factory, unsloth and openai write one, as --merged and --gguf do"
        raise InputError(f"has no card ({CARD}), without which nobody knows what it is", where=str(folder), fix=fix)
    for one in names:
        path = folder / one
        if path.is_symlink() or not path.is_file():
            raise InputError("is no file of its own", where=str(path), fix="put a copy of the file there, or remove it")
    return Parcel(kind, folder, tuple(names), tuple((folder / one).stat().st_size for one in names))


def look_through(found: Parcel) -> None:
    """Raise InputError for a secret or a path of this machine in what people read: cards, pages, configurations."""
    for name in found.files:
        if not (name.endswith(PROSE) or Path(name).name in CONFIGURATION):
            continue
        path = found.folder / name
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise InputError("is not UTF-8", where=str(path), fix="write it again") from error
        for start, what, shown in suspects(text):
            line, column = text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)
            fix = "take it out of the file, and out of what the file was made of; nothing was sent"
            raise InputError(f"{what}: {escaped(shown)}", where=position(path, line, column), fix=fix)


def suspects(text: str) -> Iterator[tuple[int, str, str]]:
    """Where it is, what it is, and what may be shown of it."""
    for one in secrets.usable(text):
        yield one.start, f"looks like {one.what}", masked(text[one.start : one.end])
    for path in PERSONAL.finditer(text):
        yield path.start(), "a path of this machine", path[0]


def show(found: Parcel, name: str, *, public: bool, dry_run: bool) -> None:
    word = "would go" if dry_run else "goes"
    seen = "public: everybody may read it" if public else "private"
    say(f"push: {len(found.files)} files, {sum(found.sizes):,} bytes, {word} to {name} ({found.kind}, {seen})")
    for one, size in zip(found.files, found.sizes, strict=True):
        say(escaped(f"  {one}: {size:,} bytes"))
    if dry_run:
        lines = (found.folder / CARD).read_text(encoding="utf-8").splitlines()
        say(f"its card, {CARD}:")
        for line in lines[:SHOWN]:
            say(escaped(f"  | {line}"))
        if len(lines) > SHOWN:
            say(f"  … and {len(lines) - SHOWN} lines more")
        say("push: nothing was sent; the same without --dry-run sends it")


def hub() -> HfApi:
    """The hub as huggingface_hub finds it: HF_ENDPOINT, HF_TOKEN or the token of `hf auth login`."""
    try:
        library = import_module("huggingface_hub")
    except ModuleNotFoundError as error:
        fix = "pip install huggingface_hub, or 'instructlab-like[train]'"
        raise InputError("needs huggingface_hub, which is not installed", where="--push", fix=fix) from error
    if not library.get_token():
        fix = "hf auth login, or put a token with the right to write into HF_TOKEN; --dry-run needs none"
        raise InputError("there is no token for the hub", where="--push", fix=fix)
    made: HfApi = library.HfApi()
    return made


def send(found: Parcel, name: str, *, public: bool, api: HfApi) -> None:
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled  # on demand, as `hub`

    where = f"{name} on the hub"
    # Its HTTP library changes from version to version; its own error descends from that library's first.
    family = [kind for kind in HfHubHTTPError.__mro__ if kind.__name__ == "HTTPError"]
    unreachable: tuple[type[BaseException], ...] = (OSError, *family)
    try:
        with working("asking the hub"):
            made = api.create_repo(name, repo_type=found.kind, private=not public, exist_ok=True)
            known = api.repo_info(name, repo_type=found.kind)
        if not public and not known.private:
            fix = "--public if that is meant, or name another"
            raise InputError("is there already and public, so everybody would read this", where=where, fix=fix)
        with working("sending"):
            api.upload_folder(
                repo_id=name,
                repo_type=found.kind,
                folder_path=str(found.folder),
                allow_patterns=patterns(found.files),
                commit_message="Upload what ilk export wrote",
            )
    except OfflineModeIsEnabled as error:
        raise InputError("HF_HUB_OFFLINE is set", where=where, fix="unset it to push") from error
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        if status in (401, 403):
            fix = "use a token with the right to write there: hf auth login, or HF_TOKEN"
            raise InputError(f"the hub refuses (HTTP {status})", where=where, fix=fix) from error
        raise StoppedError(f"the hub answered: {said}", where=where, fix="run the same command again") from error
    except unreachable as error:
        raise StoppedError(
            f"the hub cannot be reached: {error}", where=where, fix="run the same again later"
        ) from error
    say(f"push: {len(found.files)} files → {made}")


def patterns(files: Sequence[str]) -> list[str]:
    """The files by name for a matcher that takes `*`, `?` and `[`."""
    return [re.sub(r"([*?[])", r"[\1]", one) for one in files]
