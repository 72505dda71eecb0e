"""yamllint's rules by upstream's profile, run on the tokens of a file that has been read.

yamllint scans and parses a file twice more, at twenty times the cost; its rules are the ones used here, token by token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any

import yaml
from yamllint import linter
from yamllint.config import YamlLintConfig
from yamllint.linter import LintProblem

from instructlab_like.taxonomy.yaml_lines import Sheet

PROFILE = "{extends: relaxed, rules: {line-length: disable}}"  # of the public taxonomy
DUPLICATE = "key-duplicates"

# The tokens at which a rule has something to say or to remember; a rule that is not named looks at all of them.
_WATCHED: Mapping[str, tuple[type, ...]] = {
    "anchors": (
        yaml.StreamStartToken,
        yaml.DocumentStartToken,
        yaml.DocumentEndToken,
        yaml.AnchorToken,
        yaml.AliasToken,
    ),
    "braces": (yaml.FlowMappingStartToken, yaml.FlowMappingEndToken),
    "brackets": (yaml.FlowSequenceStartToken, yaml.FlowSequenceEndToken),
    "colons": (yaml.KeyToken, yaml.ValueToken),
    "commas": (yaml.FlowEntryToken,),
    "hyphens": (yaml.BlockEntryToken,),
    DUPLICATE: (
        yaml.BlockMappingStartToken,
        yaml.BlockSequenceStartToken,
        yaml.BlockEndToken,
        yaml.FlowMappingStartToken,
        yaml.FlowMappingEndToken,
        yaml.FlowSequenceStartToken,
        yaml.FlowSequenceEndToken,
        yaml.KeyToken,
    ),
}
_LINE_RULES = {"empty-lines", "new-line-at-end-of-file", "new-lines", "trailing-spaces"}
_NO_LINT = re.compile(r"^#\s*yamllint disable-file\s*$")


@dataclass(frozen=True, slots=True)
class Style:
    """One problem; the rules' levels are the profile's: errors refuse a leaf, warnings do so in generation only."""

    line: int
    column: int
    rule: str
    severity: str
    message: str


def problems(sheet: Sheet) -> Iterator[Style]:
    """What yamllint says of a sheet that was read without a problem, in no certain order."""
    profile = _profile()
    if _NO_LINT.match(sheet.text.partition("\n")[0]):
        return
    if "yamllint" in sheet.text or not profile.known:  # a comment may switch rules off and on
        for problem in linter.get_cosmetic_problems(sheet.text, profile, None):
            yield Style(problem.line, problem.column, problem.rule, problem.level, problem.desc)
        return
    yield from _of_lines(sheet.text, profile.rules)
    yield from _of_tokens(sheet, profile)


class _KeyDuplicates:
    """yamllint's rule of this name with sets in the place of lists, for files of many thousand keys."""

    ID = DUPLICATE
    TYPE = "token"

    @staticmethod
    def check(conf: Any, token: yaml.Token, _: Any, next: Any, __: Any, context: Any) -> Iterator[LintProblem]:
        stack: list[set[str] | None] = context.setdefault("stack", [])
        if isinstance(token, (yaml.BlockMappingStartToken, yaml.FlowMappingStartToken)):
            stack.append(set())
        elif isinstance(token, (yaml.BlockSequenceStartToken, yaml.FlowSequenceStartToken)):
            stack.append(None)
        elif isinstance(token, (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)):
            if stack:
                stack.pop()
        elif isinstance(token, yaml.KeyToken) and isinstance(next, yaml.ScalarToken) and stack:
            keys = stack[-1]
            if keys is None:
                return
            if next.value in keys and (next.value != "<<" or conf["forbid-duplicated-merge-keys"]):
                at = next.start_mark
                yield LintProblem(at.line + 1, at.column + 1, f'duplication of key "{next.value}" in mapping')
            keys.add(next.value)


class _Profile(YamlLintConfig):  # type: ignore[misc]  # yamllint has no types
    def enabled_rules(self, filepath: str | None) -> list[Any]:
        return [_KeyDuplicates if rule.ID == DUPLICATE else rule for rule in super().enabled_rules(filepath)]

    @property
    def known(self) -> bool:
        """Whether the rules are those that this module knows how to run."""
        rules = self.enabled_rules(None)
        return all(rule.TYPE == "token" or rule.ID in _LINE_RULES for rule in rules)


@cache
def _profile() -> _Profile:
    return _Profile(PROFILE)


def _of_lines(text: str, rules: Mapping[str, Any]) -> Iterator[Style]:
    """The rules about lines, each of them on all lines at once; line breaks are unix ones since the text was read."""
    most, trailing, ending = rules["empty-lines"], rules["trailing-spaces"], rules["new-line-at-end-of-file"]
    *lines, last = text.split("\n")
    empty = 0
    for number, line in enumerate(chain(lines, (last,)), start=1):
        if not line and number <= len(lines):
            empty += 1
            continue
        allowed = most["max-start"] if empty == number - 1 else most["max"]
        if number > len(lines) and not last:
            allowed = most["max-end"]
        if empty > allowed:
            yield _style(number - 1, 1, "empty-lines", most, f"too many blank lines ({empty} > {allowed})")
        empty = 0
        kept = len(line.rstrip(" \t"))
        if kept < len(line):
            yield _style(number, kept + 1, "trailing-spaces", trailing, "trailing spaces")
    if last:
        message = "no new line character at the end of file"
        yield _style(len(lines) + 1, len(last) + 1, "new-line-at-end-of-file", ending, message)


def _style(line: int, column: int, rule: str, conf: Mapping[str, Any], message: str) -> Style:
    return Style(line, column, rule, conf["level"], message)


_Rule = tuple[Any, Any, dict[str, Any]]  # the module, its settings, and what it remembers of the file


def _of_tokens(sheet: Sheet, profile: _Profile) -> Iterator[Style]:
    rules: list[_Rule] = [
        (rule, profile.rules[rule.ID], {}) for rule in profile.enabled_rules(None) if rule.TYPE == "token"
    ]
    watching: dict[type, list[_Rule]] = {}
    lines = sheet.text.count("\n") + 1
    for previous, token, following, second in _windows(sheet):
        if token.start_mark.line >= lines:
            return  # yamllint counts lines as editors do, its scanner as YAML does, and it drops what lies beyond
        kind = type(token)
        if kind not in watching:
            watching[kind] = [found for found in rules if issubclass(kind, _WATCHED.get(found[0].ID, object))]
        for rule, conf, context in watching[kind]:
            for problem in rule.check(conf, token, previous, following, second, context):
                yield Style(problem.line, problem.column, rule.ID, conf["level"], problem.desc)


_Window = tuple[yaml.Token | None, yaml.Token, yaml.Token | None, yaml.Token | None]


def _windows(sheet: Sheet) -> Iterator[_Window]:
    """Each token with the one before and the two after it, as the rules take them."""
    tokens = _tokens(sheet.text) if sheet.ordinary else yaml.scan(sheet.text, Loader=yaml.BaseLoader)
    ahead: Iterator[yaml.Token | None] = chain(tokens, (None, None))
    previous: yaml.Token | None = None
    token, following = next(ahead), next(ahead)
    for second in ahead:
        if token is None:
            return
        yield previous, token, following, second
        previous, token, following = token, following, second


@dataclass(slots=True)
class _Mark:
    """A position as PyYAML's own scanner gives it, and the rules expect it: with the text."""

    line: int
    column: int
    pointer: int
    buffer: str


def _tokens(text: str) -> Iterator[yaml.Token]:
    """libyaml's tokens with such positions."""
    buffer = text + "\0"
    for token in yaml.scan(text, Loader=yaml.CBaseLoader):
        start, end = token.start_mark, token.end_mark
        token.start_mark = _Mark(start.line, start.column, start.index, buffer)
        token.end_mark = _Mark(end.line, end.column, end.index, buffer)
        yield token
