"""Takes out keys, tokens and passwords."""

from __future__ import annotations

from typing import ClassVar, Literal

from instructlab_like.filters import SampleFilter
from instructlab_like.filters.judgement import Judgement, kept, rejected, replaced
from instructlab_like.filters.parts.parting import Piece, exchanged, joined, part_of
from instructlab_like.filters.parts.pseudonyms import PLACEHOLDERS
from instructlab_like.filters.parts.telling import Finds, told
from instructlab_like.records import Sample
from instructlab_like.scans.secrets import usable

CLEAN = kept("no secret found")


class Secrets(SampleFilter):
    """Rejects samples with something in question, answer or passage that looks like a key, a token or a password, or
    puts one with [SECRET] in their place.

    Known are the documented shapes of some sixty kinds of tokens, private keys, passwords in URLs and requests, values
    that are called a key or token and look random, and values that are called a password and are neither a word, a
    number nor what examples use (`password123`, `your_password`). Whether a secret still works is not asked. A password
    that is a plain word, and a key of an unknown kind that nothing calls one, are not found. What handbooks print
    (`AKIAIOSFODNN7EXAMPLE`, `<token>`, `xxxx`) is no secret.
    """

    version: ClassVar[int] = 1

    action: Literal["reject", "mask"] = "reject"
    """What becomes of a sample with a secret: rejected, or replaced by one with [SECRET] in its place."""

    def judge(self, sample: Sample) -> Judgement:
        text = joined(sample)
        found = usable(text)
        if not found:
            return CLEAN
        reason = told(sample, Finds(text, found))
        if self.action == "reject":
            return rejected("secret", reason)
        pieces = []
        for one in found:
            part, begin = part_of(sample, one.start)
            pieces.append(Piece(part, one.start - begin, one.end - begin, PLACEHOLDERS["secret"]))
        other = exchanged(sample, pieces, self.name, self.version, self.action)
        if usable(joined(other)):
            return rejected("secret", f"{reason}; it is left in part when that is taken out")
        return replaced("secret", f"{reason}; masked", other)
