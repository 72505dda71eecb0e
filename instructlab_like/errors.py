"""The one error tree. Each error says what is wrong, where, and what to do; the command line prints it and exits.

IlkError                    anything a user may see; `code` is the exit code
├── InputError        (2)   the input is wrong: a file, an option, a path
│   ├── FileError           a file that is not read: a link, no regular file, too large
│   ├── LeafError           a leaf or one of its sibling files; carries every finding of the leaf
│   ├── DocumentError       a leaf's documents cannot be had or read
│   ├── TemplateError       a prompt template or its header
│   ├── RecipeError         a recipe file or an override
│   └── ModelError          a model or adapter that cannot be loaded (in tuning/: UnknownModelError, memory not known)
├── GateError         (1)   a check that the user asked for says no
└── StoppedError      (3)   stopped incomplete, resumable: budget, teacher gone, disk full
    └── TeacherError        a teacher cannot be reached or refuses
        ├── RefusedError    it refuses this one prompt, and may answer others
        └── PassingError    one attempt failed in a way that the next may not
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from instructlab_like.printable import escaped


class IlkError(Exception):
    """`what` happened, `where` (file:line:column, field, endpoint), and `fix`: what to do about it."""

    code = 70
    sent = False  # of errors while asking a teacher: whether a request reached it, and so stands in its log

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        """For a terminal: what a file or a server said cannot act on it."""
        lines = [f"{self.where}: {self.what}" if self.where else self.what]
        told = "\n".join([*lines, f"  → {self.fix}"] if self.fix else lines)
        return "\n".join(escaped(line) for line in told.split("\n"))


class InputError(IlkError):
    code = 2


class FileError(InputError):
    """A file that is not read; `finding` is the code under which `ilk check` tells of it."""

    def __init__(self, what: str, *, fix: str, finding: str = "unreadable") -> None:
        super().__init__(what, fix=fix)
        self.finding = finding


class LeafError(InputError):
    """A leaf that cannot be used; `findings` holds one text per problem, all problems of the leaf at once."""

    def __init__(self, leaf: str, findings: list[str]) -> None:
        super().__init__("\n".join(findings), fix=f"ilk check {leaf} lists these with their positions")
        self.findings = findings


class DocumentError(InputError):
    pass


class TemplateError(InputError):
    pass


class RecipeError(InputError):
    pass


class ModelError(InputError):
    pass


class GateError(IlkError):
    code = 1


class StoppedError(IlkError):
    code = 3


class TeacherError(StoppedError):
    pass


class RefusedError(TeacherError):
    def __init__(self, what: str, *, sent: bool = True, where: str = "", fix: str = "") -> None:
        super().__init__(what, where=where, fix=fix)
        self.sent = sent


class PassingError(TeacherError):
    """`kind` is the word under which such attempts are counted; `wait` is what the server asked for, in seconds.

    `prompt_tokens` and `completion_tokens` are what the attempt was charged for all the same, as far as it is known.
    """

    sent = True

    def __init__(
        self,
        what: str,
        *,
        kind: str,
        wait: float | None = None,
        prompt_tokens: int = 0,
        completion_tokens: int = 0,
        where: str = "",
        fix: str = "",
    ) -> None:
        super().__init__(what, where=where, fix=fix)
        self.kind = kind
        self.wait = wait
        self.prompt_tokens = prompt_tokens
        self.completion_tokens = completion_tokens


def position(path: Path | str, line: int | None = None, column: int | None = None) -> str:
    """`path:line:column` as editors read it; lines and columns count from 1."""
    return ":".join(str(part) for part in (path, line, column) if part is not None)


def explain(error: ValidationError) -> list[str]:
    """One line per problem that pydantic found: field path, what is wrong, the offending value."""
    lines = []
    for problem in error.errors(include_url=False, include_context=False):
        field = ".".join(str(part) for part in problem["loc"])
        shown = repr(problem["input"])
        lines.append(f"{field}: {problem['msg']} (got {shown if len(shown) < 60 else shown[:57] + '...'})")
    return lines
