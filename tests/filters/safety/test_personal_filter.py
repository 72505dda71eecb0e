from __future__ import annotations

import importlib.util
import sys

import pytest
from pydantic import ValidationError

from instructlab_like.errors import RecipeError
from instructlab_like.filters.parts.parting import Piece, exchanged
from instructlab_like.filters.parts.pseudonyms import PLACEHOLDERS, invented
from instructlab_like.filters.safety.personal import Personal
from instructlab_like.scans.personal import KINDS, identifying

VALUES = {
    "email": ["ivo.brandt@kessel-werk.de", "o'neil_99@mail.corp.co.uk", "ann [at] corp [dot] de"],
    "phone": [
        "(628) 731-4402", "1-628-731-4402", "+1 628 731 4402", "+44 7911 123456", "020 7946 1234", "+49 30 901820",
        "0471/8829130", "06 44 12 90 37", "+33 6 44 12 90 37", "+61 2 9374 4000", "+91 98765 43210", "00494718829130",
        "+44 (0)20 7183 8750",
    ],
    "iban": ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "NO93 8601 1117 947"],
    "card": ["4539 1488 0343 6467", "378282246310005", "5555-5555-5555-4444"],
    "ssn": ["219-09-9912"],
    "ip": ["81.2.69.142", "2a02:8070:1f3:4400::12"],
}  # fmt: skip
NAMES = {"email": "mail", "phone": "phone", "iban": "IBAN", "card": "card", "ssn": "SSN", "ip": "host"}
EVERY = [(kind, value) for kind, values in VALUES.items() for value in values]


@pytest.mark.parametrize("part", ["question", "answer", "context"])
@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("email", "email"),
        ("phone", "phone-number"),
        ("iban", "iban"),
        ("card", "payment-card"),
        ("ssn", "social-security-number"),
        ("ip", "ip-address"),
    ],
)
def test_personal_data_is_rejected_wherever_it_stands(sample, part, kind, rule):
    value = VALUES[kind][0]
    texts = {"question": "Who is it?", "answer": "Somebody.", "context": "A text."}
    texts[part] = f"They wrote: {value}, and left."
    told = Personal().judge(sample(**texts))
    assert (told.keep, told.rule) == (False, rule)
    assert f"in the {part}" in told.reason
    assert value not in told.reason


def test_a_sample_without_is_kept(sample):
    told = Personal().judge(sample("When was order 4711-0815-2023 sent?", "On 2023-05-12, to office@example.org."))
    assert (told.keep, told.applied) == (True, True)


def test_kinds_that_are_not_asked_for_are_left_alone(sample):
    one = sample("Who?", f"{VALUES['email'][0]}, {VALUES['ip'][0]}")
    assert Personal(kinds="ip").judge(one).rule == "ip-address"
    assert Personal(kinds="phone").judge(one).keep
    with pytest.raises(ValidationError, match="no kind of personal data"):
        Personal(kinds="email shoe-size")


def test_masked_data_leaves_placeholders_in_a_sample_with_a_new_id(sample):
    value, number = VALUES["email"][0], VALUES["phone"][0]
    old = sample(f"Is {value} right?", f"Yes, {value}; or {number}.", context=f"Mail {value}.", kind="knowledge")
    told = Personal(action="mask").judge(old)
    new = told.instead
    assert not told.keep
    assert new is not None
    assert new.question == "Is [EMAIL] right?"
    assert new.answer == "Yes, [EMAIL]; or [PHONE]."
    assert new.context == "Mail [EMAIL]."
    assert new.id != old.id
    assert new.lineage.parents == (old.id,)
    assert new.lineage.depth == old.lineage.depth
    assert Personal().judge(new).keep
    assert Personal(action="mask").judge(old).instead == new


@pytest.mark.parametrize(("kind", "value"), EVERY)
def test_an_invented_value_is_nobodys_and_the_same_for_the_same(kind, value):
    assert kind in {one.kind for one in identifying(f"call or write: {value}")}
    made = invented(kind, value, salt="")
    assert made not in (value, PLACEHOLDERS[kind])
    for before in ("", f"my {NAMES[kind]} is ", f"{NAMES[kind]}: "):
        assert identifying(f"{before}{made}.") == []
    assert made == invented(kind, value, salt="")
    assert made != invented(kind, value, salt="of ours")
    if kind not in ("phone", "ip"):  # of which few are kept for nobody
        assert all(invented(kind, other, salt="") != made for other in VALUES[kind] if other != value)


def test_spellings_of_one_value_get_one_pseudonym():
    assert invented("email", "Ann@Corp.de", salt="") == invented("email", "ann [at] corp [dot] de", salt="")
    assert invented("iban", "DE89370400440532013000", salt="") == invented(
        "iban", "DE89 3704 0044 0532 0130 00", salt=""
    ).replace(" ", "")
    here, abroad = invented("phone", "030 901820", salt=""), invented("phone", "+49 30 901820", salt="")
    assert here.removeprefix("0") == abroad.removeprefix("+49 ")


def test_a_pseudonym_is_the_same_in_all_samples(sample):
    value = VALUES["phone"][0]
    chosen = Personal(action="pseudonym")
    first = chosen.judge(sample("Which number?", value)).instead
    second = chosen.judge(sample(f"Whose is {value}?", "Nobody's.")).instead
    assert first is not None
    assert second is not None
    assert first.answer in second.question


def test_evidence_moves_with_the_text_and_is_dropped_when_it_is_gone(sample):
    one = sample("Who?", "Ann", context="abc Ann def Ann")

    def moved(span, *pieces):
        told = one.model_copy(update={"evidence": span})
        return exchanged(told, [Piece("context", *piece) for piece in pieces], "test").evidence

    assert moved((4, 7), (0, 3, "abcdef")) == (7, 10)
    assert moved((4, 7), (8, 11, "")) == (4, 7)
    assert moved((4, 11), (8, 9, "xyz")) == (4, 13)
    assert moved((4, 7), (2, 5, "x")) is None
    assert moved((4, 7), (6, 9, "x")) is None
    assert moved((4, 7), (4, 7, "x")) is None
    assert moved(None, (4, 7, "x")) is None


def test_names_of_all_kinds_have_a_placeholder():
    assert set(KINDS) <= set(PLACEHOLDERS)


def test_presidio_that_is_not_there_is_asked_for(sample, monkeypatch):
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(RecipeError) as told:
        Personal(engine="presidio", pipeline="of a test").judge(sample("Who?", "Ann"))
    assert "pip install presidio-analyzer" in told.value.fix


needs_presidio = pytest.mark.skipif(
    not importlib.util.find_spec("presidio_analyzer"), reason="presidio-analyzer is not installed"
)


@needs_presidio
def test_presidio_finds_and_masks_without_weights(sample):
    one = sample("Who?", f"{VALUES['email'][0]}, {VALUES['card'][0]}")
    told = Personal(engine="presidio", action="mask").judge(one)
    assert told.instead is not None
    assert told.instead.answer == "[EMAIL], [CARD]"
    assert Personal(engine="presidio").judge(sample("What is 3 + 4?", "7")).keep
    assert Personal(engine="presidio").identity() != Personal().identity()


@needs_presidio
def test_a_pipeline_that_is_not_there_is_named(sample):
    with pytest.raises(RecipeError, match="no spaCy pipeline 'no_such_pipeline'"):
        Personal(engine="presidio", pipeline="no_such_pipeline").identity()
