"""Takes out the names that a leaf marks as private."""

from __future__ import annotations

from typing import ClassVar, Literal

from instructlab_like.filters import LeafFacts, LeafFilter
from instructlab_like.filters.judgement import Judgement, kept, not_applied, rejected, replaced
from instructlab_like.filters.parts.names import beginnings, pattern
from instructlab_like.filters.parts.parting import Piece, exchanged, joined, part_of
from instructlab_like.filters.parts.pseudonyms import PLACEHOLDERS, invented
from instructlab_like.records import Sample

CLEAN = kept("none of the leaf's private names found")
NOTHING_MARKED = not_applied("the leaf marks no names as private")


class PrivateNames(LeafFilter):
    """Rejects samples that hold a name out of the leaf's `private.txt`, or puts others in their place.

    Names are found as they are listed, letter case included, between other words, and with the endings that names take
    (Mara Vell's, Vells); of a name of several words also with initials (M. Vell), the other way round (Vell, Mara) and
    in capitals. Question, answer and passage are looked through. A name that is not listed, a nickname and a wrong
    spelling are not found, and whoever has the same name as a listed person is taken for them.

    `mask` writes [NAME]. `pseudonym` writes an invented name, the same for the same name in all samples.
    """

    version: ClassVar[int] = 1

    action: Literal["reject", "mask", "pseudonym"] = "reject"
    """What becomes of a sample with a private name: rejected, or replaced by one with it masked or invented anew."""
    parts: bool = False
    """Whether each word of a name counts by itself, if it has four letters or more: surname or first name alone."""
    salt: str = ""
    """Enters the invented names: who does not know it cannot check a guess against a pseudonym."""

    def judge(self, sample: Sample, leaf: LeafFacts) -> Judgement:
        if not leaf.private:
            return NOTHING_MARKED
        text = joined(sample)
        found = self.found(text, leaf.private)
        if not found:
            return CLEAN
        start, end = found[0]
        besides = f", and {len(found) - 1} more" if len(found) > 1 else ""
        reason = (
            f"a private name in the {part_of(sample, start)[0]}: {text[start]}… ({end - start} characters){besides}"
        )
        if self.action == "reject":
            return rejected("private-name", reason)
        pieces = []
        for start, end in found:
            part, begin = part_of(sample, start)
            name = text[start:end]
            instead = PLACEHOLDERS["name"] if self.action == "mask" else invented("name", name, salt=self.salt)
            pieces.append(Piece(part, start - begin, end - begin, instead))
        other = exchanged(sample, pieces, self.name, self.version, self.action, self.salt)
        if self.found(joined(other), leaf.private):
            return rejected("private-name", f"{reason}; it is left in part when that is taken out")
        return replaced("private-name", f"{reason}; {'masked' if self.action == 'mask' else 'exchanged'}", other)

    def found(self, text: str, names: tuple[str, ...]) -> list[tuple[int, int]]:
        if not any(word in text for word in beginnings(names, parts=self.parts)):
            return []
        return [match.span() for match in pattern(names, parts=self.parts).finditer(text)]
