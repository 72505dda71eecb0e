"""Documents that would be refused, or are not there: said before anyone tries to fetch them.

Fetching takes an abbreviated commit, and hosts that the user names. A leaf for everybody needs neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from instructlab_like.checking.subject import Subject
from instructlab_like.errors import InputError
from instructlab_like.printable import escaped
from instructlab_like.records import DocumentSource
from instructlab_like.taxonomy import sources
from instructlab_like.taxonomy.findings import Finding, Findings
from instructlab_like.taxonomy.qna import source_of
from instructlab_like.taxonomy.tree import LARGEST_DOCUMENT, QNA, companions, content
from instructlab_like.taxonomy.yaml_lines import Items, Mapping, Node

Problem = tuple[str, str, str]  # field, what is wrong, what to do about it

_LFS = b"version https://git-lfs.github.com/spec/"
_LISTED = 3  # names in a message


def findings(subject: Subject) -> Iterable[Finding]:
    found = Findings(subject.place.naming(QNA))
    sheet = subject.reading.sheets.get(QNA)
    leaf = sheet.root if sheet else None
    node = leaf.get("document") if isinstance(leaf, Mapping) else None
    source = source_of(leaf) if isinstance(leaf, Mapping) else None
    if source is None or not isinstance(node, Mapping):
        return found.found
    problems = sources.problems(source)
    others = _here(source, subject) if source.repo == sources.HERE else _elsewhere(source, subject.hosts)
    told = {field for field, *_ in problems}
    for field, message, fix in (*problems, *(problem for problem in others if problem[0] not in told)):
        found.error(_place(node, field), "document", message, fix=fix, field=f"document.{field}")
    return found.ordered


def _elsewhere(source: DocumentSource, hosts: Sequence[str]) -> Iterator[Problem]:
    """What is wrong with a repository and a commit of it."""
    refusal = sources.remote_problem(source.repo)
    if refusal:
        fix = "name a public https:// repository; only who has a mirror of this one can use the leaf"
        yield "repo", f"{sources.shown(source.repo)} {refusal}", fix
    elif refusal := sources.off_list(source.repo, hosts):
        fix = f"use one of {', '.join(sources.HOSTS)}, put the documents beside {QNA}, or allow it by --document-host"
        yield "repo", f"{sources.shown(source.repo)} {refusal}", fix
    if not sources.is_full(source.commit):
        fix = "write the 40 hex digits that `git log` shows: fewer may come to mean another commit as well"
        yield "commit", f"{source.commit!r} is not the full id of a commit", fix


def _here(source: DocumentSource, subject: Subject) -> Iterator[Problem]:
    """What is wrong with the files that patterns mean below the leaf's own folder."""
    files = companions(subject.place.folder)
    for number, pattern in enumerate(source.patterns[: sources.MOST_PATTERNS], start=1):
        field = f"patterns[{number}]"
        matched = sources.matching(files, pattern)
        unread = [path for path in matched if not sources.is_readable(path)]
        if not matched:
            yield field, f"{pattern!r} matches no document", f"put the document beside {QNA} as Markdown or text"
        elif unread:
            fix = f"convert to Markdown, or narrow the pattern to {', '.join(f'*{end}' for end in sources.READABLE)}"
            yield field, f"{_names(unread)} cannot be read yet", fix
        for path in matched:
            if path not in unread and (problem := _problem(subject, path)):
                yield field, *problem


def _problem(subject: Subject, path: str) -> tuple[str, str] | None:
    """Why a document cannot be read, and what to do; bytes that are no UTF-8 are found where they stand."""
    try:
        data = content(subject.place.root, f"{subject.place.path}/{path}", largest=LARGEST_DOCUMENT)
    except InputError as error:
        fix = "split it into smaller files" if "larger" in error.what else error.fix
        return f"{escaped(path)} {error.what}", fix
    if data and data.startswith(_LFS):
        return f"{escaped(path)} is a Git LFS pointer: the text itself lies elsewhere", "commit the text itself"
    return None


def _place(document: Mapping, field: str) -> Node:
    """The value that a field such as `patterns[2]` means."""
    name, _, number = field.partition("[")
    node = document.get(name) or document
    if isinstance(node, Items) and number:
        return node.items[int(number.rstrip("]")) - 1]
    return node


def _names(paths: Sequence[str]) -> str:
    more = len(paths) - _LISTED
    return ", ".join(map(escaped, paths[:_LISTED])) + (f" and {more} more" if more > 0 else "")
