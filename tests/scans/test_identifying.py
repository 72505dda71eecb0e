from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.scans.found import LIKELY, SURE, apart, masked
from instructlab_like.scans.personal import KINDS, identifying, told


def found(text: str) -> list[tuple[str, str]]:
    return [(one.kind, text[one.start : one.end]) for one in identifying(text)]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("Reach her at (628) 731-4402 after six.", "phone", "(628) 731-4402"),
        ("Sein Anschluss: 0421 776612-0 nicht mehr, sondern 0421 7766 123.", "phone", "0421 7766 123"),
        ("Ruf mich an: 030 901820", "phone", "030 901820"),
        ("Call 030 901820", "phone", "030 901820"),
        ("Text me on 628 731 4402.", "phone", "628 731 4402"),
        ("628 731 4402 (mobile)", "phone", "628 731 4402"),
        ("Das Büro: 0471/8829130", "phone", "0471/8829130"),
        ("03-5412-7788 is the desk.", "phone", "03-5412-7788"),
        ("(11) 98214-7730", "phone", "(11) 98214-7730"),
        ("电话：13912347788", "phone", "13912347788"),
        ("Joignable au 06 44 12 90 37.", "phone", "06 44 12 90 37"),
        ("+49–30–901820 with dashes", "phone", "+49–30–901820"),
        ("My SSN is 219 09 9912.", "ssn", "219 09 9912"),
        ("social security number: 219099912", "ssn", "219099912"),
        ("write to ivo.brandt [at] kessel-werk [dot] de", "email", "ivo.brandt [at] kessel-werk [dot] de"),
        ("ivo＠kessel-werk.de", "email", "ivo＠kessel-werk.de"),
        ("The login came from 81.2.69.142 at night.", "ip", "81.2.69.142"),
        ("http://81.2.69.142:8080/x", "ip", "81.2.69.142"),
        ("Blocked: 2a02:8070:1f3:4400::12", "ip", "2a02:8070:1f3:4400::12"),
    ],
)
def test_what_the_words_around_it_or_a_rarer_form_tell_is_found(text: str, kind: str, value: str) -> None:
    assert (kind, value) in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "0301 2345",
        "Order number 0471 8829130 was shipped.",
        "Invoice no. 415-823-9914",
        "Bestellnummer: 0471-8829130",
        "the order 4539148803436467 is late",
        "ticket #415-823-9914",
        "part no. 078-05-1120",
        "Send it to Boston, MA 02139-4307.",
        "The call took 123456789 ns.",
        "01 02 03 04 05",
        "hosts 10.0.0.5, 172.16.3.9, 192.168.7.20, 127.0.0.1, 192.0.2.44, 198.51.100.7, 203.0.113.9, 169.254.1.1",
        "the resolvers 8.8.8.8, 1.1.1.1 and 9.9.9.9, the mask 255.255.255.0, the net 81.2.69.0",
        "the range 81.2.69.142/24",
        "version 4.18.122.11 of the driver",
        "Chrome/81.2.69.142 and libfoo-81.2.69.142",
        "section 3.1.4.12",
        "It is 12.7.3.1 in that list",
        "2001:db8::1, fe80::1, ::1, fd00::12, std::vector, 10:30:45",
        "name@company.com, you@yourdomain.org, user@domain.com",
        "y = x@self.weight + b",
        "look at (at) the [at] sign",
        "550e8400-e29b-41d4-a716-446655440000 and 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "ISBN 978-3-16-148410-0, doi:10.1145/3292500.3330701, 52.520008, 13.404954, #a1b2c3, $1,299.00",
    ],
)
def test_what_only_looks_like_it_is_none(text: str) -> None:
    assert found(text) == []


def test_the_check_of_leaves_and_the_filters_tell_what_is_sure_from_what_is_likely() -> None:
    assert [one.doubt for one in told("It reads 0171 2345678 there, or (415) 823-9914.")] == [LIKELY, SURE]
    assert told("the host 81.2.69.142, my SSN 219099912") == []


def test_what_begins_within_another_is_left_out() -> None:
    everything = told("ann@corp.de DE89 3704 0044 0532 0130 00 4111 1111 1111 1111")
    assert [one.kind for one in everything] == ["email", "iban", "card"]
    assert apart([*everything, *everything]) == everything


def test_masked_tells_little() -> None:
    assert masked("jane.doe@acme.io") == "jane… (16 characters)"


PARTS = st.sampled_from(
    [
        *"0123456789+-. ()/@:[]\n",
        "DE89",
        "4111",
        "phone ",
        "SSN ",
        "a@b.",
        "[at]",
        "81.2.",
        "2a02:",
        "００",
        "ü",
        "\xa0",
    ]
)


@given(st.text() | st.lists(PARTS, max_size=40).map("".join))
def test_any_text_can_be_looked_at(text: str) -> None:
    for look in (told, identifying):
        past = 0
        for one in look(text):
            assert past <= one.start < one.end <= len(text)
            assert one.kind in KINDS
            past = one.end
