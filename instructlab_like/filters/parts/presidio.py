"""Presidio's analyzer, for those who have it: offline, and without weights unless a spaCy pipeline is named."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

from instructlab_like.errors import RecipeError
from instructlab_like.records import digest
from instructlab_like.scans.found import HINTED, Found, apart

# Its own names for what is looked for. Its patterns for passports, licences and accounts of single countries match any
# digits, and are left out.
ENTITIES = {
    "EMAIL_ADDRESS": ("email", "an e-mail address"),
    "PHONE_NUMBER": ("phone", "a phone number"),
    "IBAN_CODE": ("iban", "the number of an account (IBAN)"),
    "CREDIT_CARD": ("card", "the number of a payment card"),
    "US_SSN": ("ssn", "a social security number"),
    "IP_ADDRESS": ("ip", "an IP address"),
    "PERSON": ("name", "the name of a person"),
}
_WHERE = "filters.personal.engine"


class _Result(Protocol):
    start: int
    end: int
    entity_type: str
    score: float


class _Analyzer(Protocol):
    def analyze(self, text: str, language: str, entities: list[str], score_threshold: float) -> Sequence[_Result]: ...


def found(text: str, *, pipeline: str, least: float) -> list[Found]:
    """What Presidio finds with at least that score; of two that overlap the first, or the more certain."""
    entities = [entity for entity in ENTITIES if pipeline or entity != "PERSON"]
    told = _analyzer(pipeline).analyze(text=text, language="en", entities=entities, score_threshold=least)
    return apart(
        Found(one.start, round(100 * (1 - one.score)), one.end, *ENTITIES[one.entity_type], HINTED) for one in told
    )


def identity(own: str, pipeline: str) -> str:
    """The digest of what decides besides the options: Presidio's release and the pipeline's."""
    _analyzer(pipeline)
    try:
        release = version(pipeline) if pipeline else ""
    except PackageNotFoundError:
        release = ""  # a folder; its name is in the options
    return digest([own, version("presidio-analyzer"), version("spacy"), release])


@cache
def _analyzer(pipeline: str) -> _Analyzer:
    # Loaded on demand: an extra, and seconds to import.
    try:
        presidio, spacy = import_module("presidio_analyzer"), import_module("spacy")
        domains = import_module("tldextract.tldextract")
        engines = import_module("presidio_analyzer.nlp_engine")
    except ImportError as error:
        fix = "pip install presidio-analyzer, or leave the option out"
        raise RecipeError(f"Presidio cannot be loaded: {error}", where=_WHERE, fix=fix) from error
    try:
        loaded = spacy.load(pipeline) if pipeline else spacy.blank("en")
    except OSError as error:
        fix = f"install it (python -m spacy download {pipeline}), or name the folder that it lies in"
        raise RecipeError(f"there is no spaCy pipeline {pipeline!r}", where=_WHERE, fix=fix) from error
    # Else the first e-mail address would have it fetch a list of domains; it brings one along.
    setattr(domains, "TLD_EXTRACTOR", domains.TLDExtract(suffix_list_urls=(), cache_dir=None))  # noqa: B010 - untyped
    engine = engines.SpacyNlpEngine(models=[{"lang_code": "en", "model_name": pipeline or "blank"}])
    engine.nlp = {"en": loaded}
    made: _Analyzer = presidio.AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])
    return made
