"""Takes out personal data: addresses, numbers of phones, accounts, cards, people and machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from instructlab_like.filters import SampleFilter
from instructlab_like.filters.judgement import Judgement, kept, rejected, replaced
from instructlab_like.filters.parts import presidio
from instructlab_like.filters.parts.parting import Piece, exchanged, joined, part_of
from instructlab_like.filters.parts.pseudonyms import PLACEHOLDERS, invented
from instructlab_like.filters.parts.telling import Finds, told
from instructlab_like.records import Sample
from instructlab_like.scans.found import Found
from instructlab_like.scans.personal import KINDS, identifying

RULES = {
    "email": "email",
    "phone": "phone-number",
    "iban": "iban",
    "card": "payment-card",
    "ssn": "social-security-number",
    "ip": "ip-address",
    "name": "personal-name",
}
CLEAN = kept("no personal data found")


class Personal(SampleFilter):
    """Rejects samples with personal data in question, answer or passage, or puts others in their place.

    Found by form: e-mail addresses, phone numbers with a country code and in the national forms of many countries,
    bank accounts (IBAN, by its checksum), payment cards (by issuer and check digit), US social security numbers, and
    public IP addresses. Not found: names, postal addresses, dates of birth, and identity numbers of other countries;
    the filter `private_names` finds names that a leaf lists. What nobody has is none: example.org, 555-0100, private
    and documentation networks, a number that is called an order's or an invoice's.

    `mask` writes placeholders such as [EMAIL]. `pseudonym` writes invented values that nobody has, the same for the
    same value in all samples; of phones and machines few are kept for that, so two may get one. Either way the sample
    goes on under a new id, and only if nothing more is found in it.
    """

    version: ClassVar[int] = 2

    action: Literal["reject", "mask", "pseudonym"] = "reject"
    """What becomes of a sample with personal data: rejected, or replaced by one with it masked or invented anew."""
    kinds: str = " ".join(KINDS)
    """What counts, by names with blanks between them."""
    salt: str = ""
    """Enters the invented values: who does not know it cannot check a guess against a pseudonym."""
    engine: Literal["rules", "presidio"] = "rules"
    """Who looks: rules of this package, or Presidio's analyzer, which has to be installed."""
    pipeline: str = ""
    """Of Presidio: a spaCy pipeline, by name or folder, that finds names of people; empty: forms alone."""
    least: Annotated[float, Field(ge=0, le=1)] = 0.35
    """Of Presidio: the score from which a find counts."""

    @field_validator("kinds")
    @classmethod
    def known(cls, value: str) -> str:
        for kind in value.split():
            if kind not in KINDS:
                raise ValueError(f"{kind!r} is no kind of personal data; known: {' '.join(KINDS)}")
        return " ".join(kind for kind in KINDS if kind in value.split())

    def identity(self) -> str:
        if self.engine == "presidio":
            return presidio.identity(super().identity(), self.pipeline)
        return super().identity()

    def judge(self, sample: Sample) -> Judgement:
        text = joined(sample)
        found = self.found(text)
        if not found:
            return CLEAN
        finds = Finds(text, found)
        rule, reason = RULES[found[0].kind], told(sample, finds)
        if self.action == "reject":
            return rejected(rule, reason)
        other = exchanged(sample, self.pieces(sample, finds), self.name, self.version, self.action, self.salt)
        if self.found(joined(other)):
            return rejected(rule, f"{reason}; it is left in part when that is taken out")
        return replaced(rule, f"{reason}; {'masked' if self.action == 'mask' else 'exchanged'}", other)

    def found(self, text: str) -> Sequence[Found]:
        if self.engine == "presidio":
            found = presidio.found(text, pipeline=self.pipeline, least=self.least)
        else:
            found = identifying(text)
        if found:
            counted = ("name", *self.kinds.split())
            return [one for one in found if one.kind in counted]
        return found

    def pieces(self, sample: Sample, finds: Finds) -> list[Piece]:
        pieces = []
        for one in finds.found:
            part, begin = part_of(sample, one.start)
            value = finds.text[one.start : one.end]
            mask = self.action == "mask"
            instead = PLACEHOLDERS[one.kind] if mask else invented(one.kind, value, salt=self.salt)
            pieces.append(Piece(part, one.start - begin, one.end - begin, instead))
        return pieces
