"""Applies a policy pack: rules of one's own about what samples must not hold."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

from instructlab_like.filters import SampleFilter
from instructlab_like.filters.judgement import Judgement, kept, rejected, replaced
from instructlab_like.filters.parts.parting import PARTS, Piece, exchanged, joined, part_text
from instructlab_like.filters.parts.policies import Pack, Rule, pack
from instructlab_like.records import Sample, digest
from instructlab_like.workspace import find

CLEAN = kept("no rule of the policy applies")


class Policy(SampleFilter):
    """Rejects samples that a rule of a policy pack forbids, or masks the part in question.

    A pack is a YAML file: `rules:`, a list, each with a `name`, `phrases` or a `pattern` or both, and if need be a
    `message`, `case: true` (capitals matter), `fields` (question, answer, context; all unless given), `action` (reject
    or mask) and `mask` (what is written instead). Phrases are found on their own, with any blanks between words.
    Patterns are regular expressions without open-ended repeats, so that none can take long. The first rule that rejects
    decides; if none does, all that mask are applied.

    The pack that comes along finds documents marked as confidential, internal, privileged or classified. It goes by
    words, as every pack does: what is meant is not known.
    """

    version: ClassVar[int] = 1

    file: str = "templates/policies/default.yaml"
    """The policy pack: a YAML file, your own or the one that comes along."""

    @cached_property
    def pack(self) -> Pack:
        return pack(find(self.file))

    @cached_property
    def folds(self) -> bool:
        """Whether any rule takes capitals and small letters for the same."""
        return any(not rule.case for rule in self.pack.rules)

    def identity(self) -> str:
        return digest([self.name, self.version, self.pack.digest])

    def judge(self, sample: Sample) -> Judgement:
        text = joined(sample)
        folded = text.lower() if self.folds else ""
        masking: list[tuple[Rule, list[Piece]]] = []
        for rule in self.pack.rules:
            if rule.needles and not _holds(text if rule.case else folded, rule.needles):
                continue
            pieces = _pieces(sample, rule)
            if pieces and rule.action == "reject":
                return rejected(rule.name, _reason(sample, rule, pieces))
            if pieces:
                masking.append((rule, pieces))
        return self.masked(sample, masking) if masking else CLEAN

    def masked(self, sample: Sample, masking: list[tuple[Rule, list[Piece]]]) -> Judgement:
        pieces = list[Piece]()
        for piece in sorted(piece for _, found in masking for piece in found):
            if not pieces or piece.part != pieces[-1].part or piece.start >= pieces[-1].end:
                pieces.append(piece)
        rule, found = masking[0]
        reason = _reason(sample, rule, found)
        other = exchanged(sample, pieces, self.name, self.version, self.pack.digest)
        for one in self.pack.rules:
            if _pieces(other, one):
                return rejected(rule.name, f"{reason}; and {one.message} when that is masked")
        return replaced(rule.name, f"{reason}; masked", other)


def _holds(text: str, needles: tuple[str, ...]) -> bool:
    for needle in needles:  # noqa: SIM110 - a generator would take twice as long
        if needle in text:
            return True
    return False


def _pieces(sample: Sample, rule: Rule) -> list[Piece]:
    """Where the rule's phrases and pattern stand, in the fields that it is about."""
    return [
        Piece(part, match.start(), match.end(), rule.mask)
        for part in PARTS
        if part in rule.parts
        for match in rule.pattern.finditer(part_text(sample, part))
        if match[0]
    ]


def _reason(sample: Sample, rule: Rule, pieces: list[Piece]) -> str:
    first = pieces[0]
    shown = " ".join(part_text(sample, first.part)[first.start : first.end].split())
    more = f", and {len(pieces) - 1} more" if len(pieces) > 1 else ""
    return f'{rule.message}: "{shown if len(shown) <= 60 else shown[:57] + "..."}" in the {first.part}{more}'
