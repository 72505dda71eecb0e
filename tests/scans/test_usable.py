from __future__ import annotations

import re
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.scans.marks import either, folded
from instructlab_like.scans.secrets import is_example, told, usable
from instructlab_like.scans.shapes import FURTHER_SHAPES, SHAPES

LETTERS = "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zZbCcDdEeFfGgHhIiJjKkLlMmNnOoPpQqRrSs"
HEX = "0a1b2c3d4e5f60718293a4b5c6d7e8f9" * 2
BASIC = b64encode(b"ann:mango77tree").decode()


def found(text: str) -> list[str]:
    return [text[one.start : one.end] for one in usable(text)]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("password: hunter2", "hunter2"),
        ("Password: Tr0ub4dor&3", "Tr0ub4dor&3"),
        ("The wifi password is tiger4821.", "tiger4821"),
        ("DB_PASSWORD=Xk29fjw8", "Xk29fjw8"),
        ('{"user": "ann", "password": "blue42sky"}', "blue42sky"),
        ("dbPassword = 'mango77tree'", "mango77tree"),
        ("Das Passwort lautet Winter99x", "Winter99x"),
        ("mot de passe : chien78ab", "chien78ab"),
        ("contraseña: gato4521", "gato4521"),
        ("пароль: kot48293s", "kot48293s"),
        ("passphrase: lorry-window-cactus-ninety", "lorry-window-cactus-ninety"),
        ("curl -u ann:mango77tree https://api.acme.io", "mango77tree"),
        (f"Authorization: Basic {BASIC}", BASIC),
        ("key sk-" + "abcdEFGH1234ijklMNOP5678", "sk-" + "abcdEFGH1234ijklMNOP5678"),
        ("use lin_" + "api_" + LETTERS[:40], "lin_" + "api_" + LETTERS[:40]),
        ("dapi" + HEX[:32], "dapi" + HEX[:32]),
    ],
)
def test_what_a_reader_could_use_is_found(text: str, secret: str) -> None:
    assert found(text) == [secret]


@pytest.mark.parametrize(
    "text",
    [
        "password: <your password>",
        'password = "password123"',
        "password: secret123",
        "pwd = 'mypassword1'",
        "password: P@ssw0rd!",
        'password = input("Enter password: ")',
        "password: req.body.password1",
        "password: varchar(255)",
        "Password: 8-20 characters",
        "The password is case-sensitive.",
        "The boarding pass: gate B12",
        "self.password = password_hash2",
        'password = "newPassword1"',
        "passport: X1234567",
        "pass: 3, fail: 2",
        "postgres://user:password123@localhost/db",
        "postgres://postgres:postgres@localhost/db",
        "Authorization: Basic dXNlcjpwYXNzd29yZA==",
        "AK" + "IAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY with aws secret key",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0"
        ".SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
        "gh" + "p_" + "x" * 36,
        "sk-learn-contrib-package-names",
        "The sha is 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08.",
    ],
)  # fmt: skip
def test_what_handbooks_and_examples_write_is_no_secret(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize("value", ["password123", "My_Secret_1", "test1234", "admin2024", "abc123", "userPass1"])
def test_a_value_made_of_the_words_of_examples_is_one(value: str) -> None:
    assert is_example(value)


@pytest.mark.parametrize("value", ["hunter2", "tiger4821", "testament88x", "Xk29fjw8"])
def test_a_value_with_anything_else_in_it_is_none(value: str) -> None:
    assert not is_example(value)


def test_the_check_of_leaves_goes_by_shape_and_chance_alone() -> None:
    assert told("password: hunter2") == told("lin_" + "api_" + LETTERS[:40]) == []
    assert [one.what for one in told("gh" + "p_" + LETTERS[:36])] == ["a GitHub token"]


def test_a_mark_is_in_every_secret_of_its_shape() -> None:
    for shape in (*SHAPES, *FURTHER_SHAPES):
        assert shape.marks
        assert shape.name.startswith(("a ", "an ", "the "))


@given(st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=8), st.text("abcd", max_size=12))
def test_one_look_for_many_words_sees_what_a_look_for_each_would(words: list[str], text: str) -> None:
    assert bool(re.search(either(words), text)) == any(word in text for word in words)


@given(st.text())
def test_small_letters_stay_where_they_were(text: str) -> None:
    assert len(folded(text)) == len(text)


@given(
    st.text() | st.lists(st.sampled_from([*"=: \n\"'@/-_.", "://", "password", "eyJ", "Basic ", "a1B2"])).map("".join)
)
def test_any_text_can_be_looked_at(text: str) -> None:
    past = 0
    for one in usable(text):
        assert past <= one.start < one.end <= len(text)
        assert one.hidden
        past = one.end
