from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from leaf_files import dumped, knowledge, skill, write_leaf
from one_lint import SKILL_PATH, of_code, skill_text, written_skill

from instructlab_like.checking.hits import Page, found_in
from instructlab_like.checking.lints.personal import look
from instructlab_like.taxonomy.yaml_lines import load

CODES = {"email", "phone", "iban", "payment-card", "social-security-number"}


def told(text: str) -> list[tuple[str, str, str]]:
    """Code, severity and what is meant."""
    return [(hit.code, hit.severity, text[hit.start : hit.end]) for hit in look(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Write to jane.doe@acme-corp.com.", "jane.doe@acme-corp.com"),
        ("Müller <j.müller@firma.de>", "j.müller@firma.de"),
        ("mailto:bob+tag@mail.corp.co.uk?subject=x", "bob+tag@mail.corp.co.uk"),
        ("(o'neil_99@xn--bcher-kva.ch)", "o'neil_99@xn--bcher-kva.ch"),
        ("...ann@gmail.com", "ann@gmail.com"),
    ],
)
def test_an_address_is_found(text: str, found: str) -> None:
    assert told(text) == [("email", "error", found)]


@pytest.mark.parametrize(
    "text",
    [
        "ann@example.org, ann@mail.example.com, ANN@EXAMPLE.NET",
        "a@b.test, a@b.example, a@b.invalid, root@localhost",
        "git@github.com:org/repo.git",
        "https://ann@host.org/x and ssh://git:x@host.org",
        "@ann, @ann@social.town, image@2x.png, lodash@4.17.21, a @ b.c",
        "the @ sign, x@y, {{ name }}@corp.com",
    ],
)
def test_what_is_nobodys_address_is_none(text: str) -> None:
    assert told(text) == []


@pytest.mark.parametrize(
    "number",
    [
        "+49 30 1234567", "+49 (0)30 1234567", "+49/30/1234567", "+4930123456", "+44 20 7123 4567", "+33 1 23 45 67 89",
        "+1 (415) 555-2671", "+1-555-123-4567", "+14155552671", "+1 415 555 2671",
        "+91 98765 43210", "+7 912 345-67-89",
        "+55 11 91234-5678", "+86 138 0013 8000", "+48 123 456 789", "+39 06 1234 5678", "+353 87 123 4567",
        "0049 30 1234567", "0044 20 7123 4567",
        "(415) 555-2671", "(415)555-2671", "415-555-2671", "415.555.2671", "1-800-555-1234", "555-123-4567",
        "(555) 123-4567", "123-456-7890", "07123 456789", "07123 456 789", "020 7123 4567",
    ],
)  # fmt: skip
def test_a_phone_number_by_its_shape_is_an_error(number: str) -> None:
    for text in (number, f"Call {number}, or write.", f"({number})", f"tel:{number}", f'"{number}"', f"{number}\n12"):
        assert told(text) == [("phone", "error", number)]


@pytest.mark.parametrize("number", ["0171 2345678", "030/1234567", "(030) 1234567", "(02) 9876 1234", "01 23 45 67 89"])
def test_digits_that_look_like_a_phone_are_one_if_a_word_says_so(number: str) -> None:
    assert told(f"It reads {number} there.") == [("phone", "warning", number)]
    assert told(f"Tel.: {number}") == [("phone", "error", number)]
    assert told(f"My phone number is {number}.") == [("phone", "error", number)]


@pytest.mark.parametrize("number", ["98765 43210", "9876543210", "555 123 4567", "6234 5678", "22 33 44 55"])
def test_other_digits_are_a_phone_only_where_a_word_says_so(number: str) -> None:
    assert told(f"It reads {number} there.") == []
    assert told(f"Call me: {number}") == [("phone", "error", number)]


@pytest.mark.parametrize(
    "text",
    [
        "+1 212 555 0123", "212-555-0199", "(212) 555-0100", "1-212-555-0142", "call 212 555 0150",
        "+44 20 7946 0958", "020 7946 0018", "+44 7700 900123", "07700 900123", "+44 1632 960 001", "tel 01632 960001",
        "+33 1 99 00 12 34", "tel 01 99 00 12 34", "+49 30 23125 123", "+61 2 5550 1234", "+61 491 570 156",
    ],
)  # fmt: skip
def test_numbers_kept_for_fiction_are_nobodys(text: str) -> None:
    assert told(text) == []


NUMBERS = [
    "1939-1945", "1939–1945 and 1946-1949", "call 1939-1945", "the phone of 1876-1877 1878-1879", "1990/1991 1991/1992",
    "2023-01-01", "01/02/2023", "12.05.2021-13.06.2022", "2023-01-01 12", "called on 2023-01-15 2024-01-15",
    "20230101123000",
    "10:30-12:45", "2021-03-04T05:06:07+01:00", "UTC+0530 and GMT+10:00",
    "ISBN 978-3-16-148410-0", "ISBN 0-306-40615-2", "9780306406157", "ISBN: 030-640-6152", "ISSN 0317-8471",
    "v1.2.3.4", "2.0.10-rc.1+20231105", "10.1000/182", "doi:10.1145/3292500.3330701", "PMID 12345678",
    "3.14159265358979", "0.4111111111111111", "1,234,567,890", "1 000 000 000 000", "12 000 000", "1.000.000.000",
    "+12 345 678", "+10 000 000", "+20 000 000 people", "+45 500 000 votes", "+5 %", "a +12345678901% change", "+3.5",
    "192.168.100.100", "call 192.168.100.100", "10.0.0.1:8080", "2001:db8::1",
    "+40.7128, -74.0060", "48.858370, 2.294481", "+48.85661 +2.35222", "+40.7128-074.0060/", "52°31′12″N 13°24′18″E",
    "12 x 34 x 56 mm", "100 200 300 400 500", "1 2 3 4 5 6 7 8 9 10 11 12 13", "2, 4, 6, 8, 10",
    "550e8400-e29b-41d4-a716-446655440000", "0000-0002-1825-0097", "12-34-56", "100-200-300", "1e10 2e-5", "C++17",
    "Phys. Rev. E 78, 046110 2008", "007 1234", "part 415-555-26710",
    "x415-555-2671", "order 4-1-1", "7-ELEVEN 555-1234",
    "4503599627370496", "f(x) = 2x+1234567890", "9488b9b4aaf0d5d4c1d6b4b6ba5c6c1e9d0b8a7f",
    "DE 12 34", "AB12 CD34 EF56",
]  # fmt: skip


@pytest.mark.parametrize("text", NUMBERS)
def test_other_numbers_are_no_personal_data(text: str) -> None:
    assert told(text) == []
    assert told(f"In {text}, and so on.") == []


@pytest.mark.parametrize(
    "account",
    [
        "DE89370400440532013000", "DE89 3704 0044 0532 0130 00", "GB82 WEST 1234 5698 7654 32",
        "gb82west12345698765432",
        "FR14 2004 1010 0505 0001 3M02 606", "NO93 8601 1117 947", "MT84 MALT 0110 0001 2345 MTLC AST0 01S",
        "CH93-0076-2011-6238-5295-7", "BR18 0036 0305 0000 1000 9795 493C 1", "KZ86 125K ZT50 0410 0100",
    ],
)  # fmt: skip
def test_an_account_is_found_by_its_checksum(account: str) -> None:
    for text in (account, f"IBAN: {account}.", f"pay to {account} today 12"):
        assert told(text) == [("iban", "error", account)]
    last = account[-1]
    wrong = account[:-1] + ("0" if last != "0" else "1")
    assert "iban" not in [code for code, *_ in told(wrong)]
    assert "iban" not in [code for code, *_ in told(f"{account}0")]
    assert "iban" not in [code for code, *_ in told("ZZ" + account[2:])]


# Published test numbers of the card networks.
CARDS = [
    "4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "4222222222222", "5555555555554444",
    "2223003122003222", "378282246310005", "3782 822463 10005", "6011111111111117", "3530111333300000",
    "30569309025904", "3056 930902 5904", "6200000000000005", "5018 0000 0009",
]  # fmt: skip


@pytest.mark.parametrize("card", CARDS[:-1])
def test_a_card_is_found_by_its_issuer_and_check_digit(card: str) -> None:
    for text in (card, f"Visa {card} 12/27", f"no. 7 {card}, valid", f"1234 {card}"):
        assert told(text) == [("payment-card", "error", card)]
    wrong = card[:-1] + str((int(card[-1]) + 1) % 10)
    assert told(wrong) == []
    assert told("1" + card[1:]) == []
    assert told(f"0.{card}") == []
    assert told(f"{card}0" * 2) == []


def test_a_social_security_number_is_one_in_the_ranges_that_were_given_out() -> None:
    assert told("SSN 123-45-6789.") == [("social-security-number", "error", "123-45-6789")]
    for number in (
        "000-12-3456",
        "666-12-3456",
        "912-34-5678",
        "123-00-4567",
        "123-45-0000",
        "123-45-67890",
        "1123-45-6789",
    ):
        assert told(number) == []


def test_nothing_is_told_in_full() -> None:
    text = "jane.doe@acme-corp.com, +49 30 1234567, DE89370400440532013000, 4111111111111111, 123-45-6789"
    assert [hit.message for hit in look(text)] == [
        "an e-mail address: jane… (22 characters)",
        "a phone number: +49 … (14 characters)",
        "the number of an account (IBAN): DE89… (22 characters)",
        "the number of a payment card: 4111… (16 characters)",
        "a social security number: 123-… (11 characters)",
    ]


# --- in a leaf --------------------------------------------------------------------------------------------------


def places(root: Path) -> list[tuple[str, int, int, str]]:
    found = [finding for code in sorted(CODES) for finding in of_code(code, root)]
    return [(Path(finding.path).name, finding.line, finding.column, finding.field) for finding in found]


def test_personal_data_is_found_in_the_yaml_files_alone(tmp_path: Path) -> None:
    text = skill_text(question="Who is jane@corp.de?") + "# jane@corp.de\n"
    held = "questions:\n- question: 4111111111111111\n  answer: 'jane@corp.de'\n"
    folder = write_leaf(tmp_path, SKILL_PATH, text, heldout=held)
    (folder / "attribution.txt").write_text("Title of work: T\nCreator names: Jane <jane@corp.de>\n")
    (folder / "notes.md").write_text("jane@corp.de, +49 30 1234567\n")
    line = text.splitlines().index("- question: Who is jane@corp.de?") + 1
    assert places(tmp_path) == [
        ("heldout.yaml", 3, 12, "questions[1].answer"),
        ("qna.yaml", line, 20, "seed_examples[1].question"),
        ("qna.yaml", len(text.splitlines()), 3, ""),
        ("heldout.yaml", 2, 13, ""),
    ]


@pytest.mark.parametrize(
    "author", ["jane@corp.de", "Jane Doe <jane@corp.de>", "|\n  Jane\n  jane@corp.de", '"j\\x61ne@corp.de"']
)
def test_the_author_may_give_an_address(tmp_path: Path, author: str) -> None:
    text = dumped(skill()).replace("created_by: ann", f"created_by: {author}")
    write_leaf(tmp_path, SKILL_PATH, text)
    assert places(tmp_path) == []
    write_leaf(tmp_path, SKILL_PATH, text.replace("task_description: Add", "task_description: ann@corp.de Add"))
    assert [field for *_, field in places(tmp_path)] == ["task_description"]


@pytest.mark.parametrize(
    ("written", "column"),
    [
        ('"Call +49 30\n    1234567 now?"', 19),
        ("Call +49 30\n    1234567 now?", 18),
        ('"Call \\x2b49 30 1234567 now?"', 19),
        (">\n    Call\n    +49 30\n    1234567 now?", 5),
    ],
)
def test_a_number_that_is_folded_or_escaped_is_found_where_it_begins(tmp_path: Path, written: str, column: int) -> None:
    folder = written_skill(tmp_path, question="QUESTION")
    text = (folder / "qna.yaml").read_text().replace("QUESTION", written)
    (folder / "qna.yaml").write_text(text)
    (found,) = of_code("phone", tmp_path)
    assert (found.column, found.field) == (column, "seed_examples[1].question")
    assert text.splitlines()[found.line - 1][column - 1 :].startswith(("+49", "\\x2b49"))


def test_a_word_before_a_fold_says_what_a_number_is(tmp_path: Path) -> None:
    written_skill(tmp_path, question="QUESTION")
    file = tmp_path / SKILL_PATH / "qna.yaml"
    file.write_text(file.read_text().replace("QUESTION", '"My phone:\n    98765 43210?"'))
    (found,) = of_code("phone", tmp_path)
    assert (found.severity, found.column) == ("error", 5)


def test_a_knowledge_leaf_as_it_should_be_has_none(tmp_path: Path) -> None:
    write_leaf(tmp_path, "knowledge/tides", knowledge())
    assert places(tmp_path) == []


# --- whatever the text ------------------------------------------------------------------------------------------


PARTS = st.sampled_from([*"0123456789+-. ()/@\n", "DE89", "4111", "phone ", "a@b.", "00", "+49 ", "555-", "\xa0"])


@given(st.text() | st.lists(PARTS, max_size=40).map("".join))
def test_any_text_can_be_looked_at(text: str) -> None:
    past = 0
    for hit in look(text):
        assert past <= hit.start < hit.end <= len(text)
        past = hit.end
        assert hit.code in CODES
        assert hit.message.isprintable()


@given(
    local=st.from_regex(r"[a-z][a-z0-9.]{2,20}[a-z]", fullmatch=True),
    before=st.text("abc é\n", max_size=20),
    style=st.sampled_from([None, "'", '"', "|", ">"]),
)
def test_an_address_in_any_value_is_found_once_and_not_repeated(local: str, before: str, style: str | None) -> None:
    address = f"{local}@corp.de"
    file = yaml.safe_dump({"a": f"{before} {address}"}, default_style=style, width=20)
    (found,) = found_in(Page("qna.yaml", file, load(file.encode()).root), look, folds=True)
    assert file.split("\n")[found.line - 1][found.column - 1 :].startswith(address)
    assert address not in str(found)
