"""The published schema package as the oracle, called in process."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest.mock import patch

from instructlab.schema.taxonomy import Taxonomy, TaxonomyParser, TaxonomyReadingException
from yamllint import linter
from yamllint.config import YamlLintConfig

from instructlab_like.checking.leaf import Options


@dataclass(frozen=True)
class Mode:
    """One of the four ways to ask for a verdict, in the oracle's terms and in ours."""

    newest: bool
    warnings_as_errors: bool

    def __str__(self) -> str:
        return f"{'newest' if self.newest else 'from file'}, {'generation' if self.warnings_as_errors else 'CI'}"

    @property
    def options(self) -> Options:
        version = "latest" if self.newest else "from-file"
        return Options(
            profile="compatible",
            schema_version=version,  # type: ignore[arg-type]
            warnings_as_errors=self.warnings_as_errors,
        )


MODES = tuple(Mode(newest, strict) for newest in (False, True) for strict in (False, True))


class Oracle(TaxonomyParser):
    """The package with yamllint called in process rather than as a command, and no `yq` for line numbers."""

    def __init__(self, mode: Mode, *, lint: bool = True) -> None:
        version = None if mode.newest else 0
        super().__init__(schema_version=version, yamllint_strict=mode.warnings_as_errors, message_format="logging")
        self.lint = lint
        self.yq_available = False
        logging.getLogger("instructlab.schema.taxonomy").setLevel(logging.CRITICAL)

    def _yamllint(self, text: str, taxonomy: Taxonomy) -> None:
        # The command reads bytes, so that a byte order mark is gone before the rules look.
        for problem in linter.run(text.encode(), _config(self.yamllint_config)) if self.lint else ():
            severe = self.yamllint_strict or problem.level == "error"
            (taxonomy.error if severe else taxonomy.warning)("%s", problem.desc)

    def accepts(self, path: Path) -> bool:
        try:
            return self.parse(path).errors == 0
        except TaxonomyReadingException:
            return False


def shipped(mode: Mode, path: Path) -> bool:
    """The verdict of the package as it comes: yamllint as a command, without which it silently does not lint."""
    parser = TaxonomyParser(
        schema_version=None if mode.newest else 0,
        yamllint_strict=mode.warnings_as_errors,
        message_format="logging",
    )
    parser.yq_available = False  # it finds line numbers, nothing else
    programs = Path(sys.executable).parent  # of the environment, where the command lies
    with patch.dict(os.environ, PATH=f"{programs}{os.pathsep}{os.environ['PATH']}"):
        assert shutil.which("yamllint")
        try:
            return parser.parse(path).errors == 0
        except TaxonomyReadingException:
            return False


@cache
def _config(text: str) -> YamlLintConfig:
    return YamlLintConfig(text)
