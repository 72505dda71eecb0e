"""One problem of a leaf, with its position, and the list in which a reader gathers all of them."""

from __future__ import annotations

from typing import Literal, Protocol

from instructlab_like.errors import FileError, position
from instructlab_like.frozen import Record


class Finding(Record):
    path: str  # of the file, as it was reached: "taxonomy/knowledge/science/tides/qna.yaml"
    line: int  # from 1
    column: int  # from 1, in characters
    code: str  # stable, for machines: "missing-key"
    severity: Literal["error", "warning"]
    field: str  # "seed_examples[2].question"; empty: the whole file
    message: str
    fix: str

    def __str__(self) -> str:
        what = f"{self.field}: {self.message}" if self.field else self.message
        return f"{position(self.path, self.line, self.column)}: {what} → {self.fix}"


class Place(Protocol):
    """Anything that has a position in a file."""

    @property
    def line(self) -> int: ...

    @property
    def column(self) -> int: ...


class Findings:
    """The findings of one file, in the order in which they were made."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.found: list[Finding] = []

    def error(self, at: Place | None, code: str, message: str, *, fix: str, field: str = "") -> None:
        self._add(at, code, "error", message, fix, field)

    def warning(self, at: Place | None, code: str, message: str, *, fix: str, field: str = "") -> None:
        self._add(at, code, "warning", message, fix, field)

    def unread(self, error: FileError) -> None:
        """Tell that the file is not read, and why."""
        message = f"the file {error.what}"
        if error.finding == "link":
            self.error(None, "link", message, fix=error.fix)
        elif error.finding == "too-large":
            self.error(None, "too-large", message, fix=error.fix)
        else:
            self.error(None, "unreadable", message, fix=error.fix)

    @property
    def ordered(self) -> list[Finding]:
        """As an editor lists them."""
        return sorted(self.found, key=lambda finding: (finding.line, finding.column, finding.code, finding.field))

    @property
    def broken(self) -> bool:
        return any(finding.severity == "error" for finding in self.found)

    def _add(
        self, at: Place | None, code: str, severity: Literal["error", "warning"], message: str, fix: str, field: str
    ) -> None:
        line, column = (at.line, at.column) if at else (1, 1)
        self.found.append(
            Finding(
                path=self.path,
                line=line,
                column=column,
                code=code,
                severity=severity,
                field=field,
                message=message,
                fix=fix,
            )
        )
