from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from leaf_files import dumped, knowledge, skill, write_leaf
from one_lint import SKILL_PATH, of_code, skill_text, written_skill

from instructlab_like.checking.hits import Page, found_in
from instructlab_like.checking.lints.secrets import look
from instructlab_like.taxonomy.yaml_lines import load

LETTERS = "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zZbCcDdEeFfGgHhIiJjKkLlMmNnOoPpQqRrSs"
HEX = "0a1b2c3d4e5f60718293a4b5c6d7e8f9" * 2
BODY = b64encode(bytes(range(256))).decode()


def jwt(header: object) -> str:
    parts = (json.dumps(header), json.dumps({"sub": "ann"}), "signature of it")
    return ".".join(urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts)


def pem(kind: str, *, end: str = "\n") -> str:
    return f"-----BEGIN {kind}-----{end}{end.join((BODY[:64], BODY[64:128]))}{end}-----END {kind}-----"


# Shapes as their issuers document them, made up of no key that ever was; put together so that no scanner takes offence.
TOKENS = {
    "an AWS access key id": ["AK" + "IAQ3EGRTNB7XKW2LPM", "AS" + "IAQ3EGRTNB7XKW2LPM"],
    "a GitHub token": [f"gh{kind}_{LETTERS[:36]}" for kind in "pousr"]
    + ["github_" + "pat_" + LETTERS[:22] + "_" + LETTERS[:59]],
    "a GitLab token": ["glpat" + "-" + LETTERS[:20]],
    "a Slack token": [f"xox{kind}-123456789012-{LETTERS[:24]}" for kind in "abprs"],
    "a Stripe key": [f"{kind}_live_{LETTERS[:24]}" for kind in ("sk", "rk")],
    "an OpenAI key": ["sk" + "-" + LETTERS[:48], "sk-proj" + "-" + LETTERS[:40] + "_-" + LETTERS[:40]],
    "an Anthropic key": ["sk-ant" + "-api03-" + LETTERS + "-" + LETTERS[:24] + "AA"],
    "a Hugging Face token": ["hf" + "_" + LETTERS[:34], "hf" + "_" + "abcdefghijklmnopqrstuvwyzabcdefghi"],
    "a Google API key": ["AI" + "za" + LETTERS[:35]],
    "an npm token": ["npm" + "_" + LETTERS[:36]],
    "a PyPI token": ["pypi" + "-AgEIcHlwaS5vcmc" + LETTERS],
    "a SendGrid key": ["S" + "G." + LETTERS[:22] + "." + LETTERS[:43]],
    "a Telegram bot token": ["123456789:AA" + LETTERS[:33]],
    "a DigitalOcean token": ["dop" + "_v1_" + HEX],
    "a JSON web token": [jwt({"alg": "HS256", "typ": "JWT"})],
}


def secrets(text: str) -> list[tuple[str, str]]:
    """What each is said to be, and what it is."""
    return [(hit.message, text[hit.start : hit.end]) for hit in look(text)]


@pytest.mark.parametrize(("name", "token"), [(name, token) for name, tokens in TOKENS.items() for token in tokens])
def test_a_known_shape_is_found_and_not_repeated(name: str, token: str) -> None:
    for text in (token, f"use {token}, please", f'KEY="{token}"', f"url?key={token}&x=1", f"«{token}»"):
        ((message, found),) = secrets(text)
        assert found == token
        assert message == f"this looks like {name}: {token[:4]}… ({len(token)} characters)"


@pytest.mark.parametrize("token", [token for tokens in TOKENS.values() for token in tokens])
def test_what_is_too_short_or_part_of_a_word_is_none(token: str) -> None:
    assert secrets(token[:14]) == []
    assert [found for _, found in secrets(f"x{token}") if found == token] == []


@pytest.mark.parametrize(
    "key",
    [
        pem("RSA PRIVATE KEY"),
        pem("PRIVATE KEY"),
        pem("ENCRYPTED PRIVATE KEY"),
        pem("OPENSSH PRIVATE KEY", end="\n      "),
        pem("EC PRIVATE KEY", end="\\n"),
        pem("PRIVATE KEY", end="\n# "),
        pem("PGP PRIVATE KEY BLOCK").replace("-----\n", "-----\nVersion: GnuPG v2\n\n", 1),
        pem("RSA PRIVATE KEY").replace("-----\n", "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n", 1),
    ],
)
def test_a_private_key_is_found_where_it_begins(key: str) -> None:
    (hit,) = look(f"My key:\n{key}")
    assert hit.start == len("My key:\n")
    assert hit.message.startswith(f"this looks like a private key: {BODY[:4]}… (")


def test_the_beginning_of_a_private_key_is_found_whatever_follows() -> None:
    for text in ("Twelve -----BEGIN RSA PRIVATE KEY----- barrels", "-----BEGIN OPENSSH PRIVATE KEY-----"):
        (hit,) = look(text)
        assert hit.start == text.index("-----")
        assert hit.message.startswith("this looks like the beginning of a private key")


def test_a_putty_key_is_found() -> None:
    text = f"PuTTY-User-Key-File-2: ssh-rsa\nEncryption: none\nPrivate-Lines: 2\n{BODY[:64]}\n{BODY[64:128]}\n"
    (hit,) = look(text)
    assert text[hit.start :].startswith("Private-Lines")


def test_an_aws_secret_is_one_beside_its_id_or_name_only() -> None:
    secret = LETTERS[:19] + "/" + LETTERS[20:39] + "+"
    assert [found for _, found in secrets(f"aws_secret_access_key = {secret}")] == [secret]
    key = TOKENS["an AWS access key id"][0]
    assert [found for _, found in secrets(f"{key}\n{secret}")] == [key, secret]
    assert secrets(f"the digest {secret} of aw") == []


def test_a_twilio_key_is_one_where_it_is_called_a_key() -> None:
    assert len(secrets("account sid: AC" + HEX[:32])) == 1
    assert len(secrets("the API key SK" + HEX[:32])) == 1
    assert secrets("the file SK" + HEX[:32]) == []


@pytest.mark.parametrize("header", [{"typ": "JWT"}, ["alg"], "alg"])
def test_three_parts_without_an_algorithm_are_no_token(header: object) -> None:
    assert secrets(jwt(header)) == []


@pytest.mark.parametrize(
    ("text", "password"),
    [
        ("https://ann:hunter2@git.example.com/tides.git", "hunter2"),
        ("postgres://app:s3cr3t-w0rd@db:5432/x", "s3cr3t-w0rd"),
        ("redis://:Zx81k@cache", "Zx81k"),
        ("password = 'Xk9#mQ2$vL7!'", "Xk9#mQ2$vL7!"),
        ('{"password": "tR5$kLm9pQ"}', "tR5$kLm9pQ"),
        ("DB_PASSWORD=aB3dE5gH7j", "aB3dE5gH7j"),
        ("api_key: 9f8a7b6c5d4e3f2a1b0c", "9f8a7b6c5d4e3f2a1b0c"),
        ("apiKey => 9f8a7b6c5d4e3f2a1b0c", "9f8a7b6c5d4e3f2a1b0c"),
        ("The password is Xk9#mQ2!vL7.", "Xk9#mQ2!vL7"),
        ("Authorization: Bearer abcDEF123456ghiJKL789", "abcDEF123456ghiJKL789"),
        ("tool --token 9f8a7b6c5d4e3f2a1b0c", "9f8a7b6c5d4e3f2a1b0c"),
        ("client_secret:\n    9f8a7b6c5d4e3f2a1b0c", "9f8a7b6c5d4e3f2a1b0c"),
        ("İ PASSWORD: Xk9#mQ2$vL7!", "Xk9#mQ2$vL7!"),
    ],
)
def test_a_password_is_found_by_where_it_stands(text: str, password: str) -> None:
    ((message, found),) = secrets(text)
    assert found == password
    assert password not in message


@pytest.mark.parametrize(
    "text",
    [
        "AK" + "IAIOSFODNN7EXAMPLE",
        "AK" + "IA" + "X" * 16,
        "ghp" + "_" + "x" * 36,
        "ghp_<your token>",
        "sk-...",
        "sk-proj-your-key-goes-here-1234567890",
        "xoxb-your-token-1234567890",
        "https://user:password@host.org/x",
        "https://user:${PASSWORD}@host.org/x",
        "https://{user}:{password}@host.org/x",
        "https://host.org:8443/a@b",
        "mailto:ann@example.org?subject=a:b",
        "password: <your password>",
        "password = os.environ['DB_PASSWORD_1']",
        "password: {{ password1 }}",
        "password: ********",
        "password must be at least 12 characters",
        "passwords: 1,234,567",
        "The secret is to stir it 12 times.",
        "secret: the-2nd-battalion-of-1939",
        "token budget: 4096-8192",
        "token: https://example.org/a1b2c3d4",
        'tokenizer_type = "Llama2Tokenizer"',
        "commit: 9488b9b4aaf0d5d4c1d6b4b6ba5c6c1e9d0b8a7f",
        "sha256: " + HEX,
        "A PEM file begins with -----BEGIN PRIVATE KEY----- and ends with -----END PRIVATE KEY-----.",
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "The first line is `-----BEGIN PRIVATE KEY-----`, the last '-----END PRIVATE KEY-----'.",
        "-----BEGIN PUBLIC KEY-----\n" + BODY,
        "task-oriented, risk-averse, ASIA PACIFIC, SG. Trier",
    ],
)
def test_what_stands_for_a_secret_is_none(text: str) -> None:
    assert secrets(text) == []


# --- in a leaf --------------------------------------------------------------------------------------------------


def test_secrets_are_found_in_every_file_of_a_leaf_and_never_repeated(tmp_path: Path) -> None:
    token = TOKENS["a GitHub token"][0]
    text = skill_text(question=f"What is {token}?") + f"# {token}\n"
    folder = write_leaf(tmp_path, SKILL_PATH, text, heldout=f"questions:\n- question: {token}\n  answer: b\n")
    (folder / "attribution.txt").write_text(f"Title of work: T\nLink to work: https://ann:{token}@host.org/x\n")
    (folder / "notes.md").write_text(f"\n    {token}\n")
    found = of_code("secret", tmp_path)
    line = text.splitlines().index(f"- question: What is {token}?") + 1
    assert [(Path(each.path).name, each.line, each.column, each.field) for each in found] == [
        ("attribution.txt", 2, 27, ""),
        ("heldout.yaml", 2, 13, "questions[1].question"),
        ("notes.md", 2, 5, ""),
        ("qna.yaml", line, 21, "seed_examples[1].question"),
        ("qna.yaml", len(text.splitlines()), 3, ""),
    ]
    assert {finding.severity for finding in found} == {"error"}
    assert token not in "".join(f"{finding.message} {finding.fix} {finding.field}" for finding in found)


def test_a_secret_that_escapes_hide_is_found_where_it_begins(tmp_path: Path) -> None:
    token = TOKENS["a GitHub token"][0]
    folder = written_skill(tmp_path, question="QUESTION")
    text = (folder / "qna.yaml").read_text()
    text = text.replace("QUESTION", f'"It is \\x67{token[1:12]}\\\n    {token[12:]}"')
    (folder / "qna.yaml").write_text(text)
    (found,) = of_code("secret", tmp_path)
    assert (found.line, found.column) == (text[: text.index("\\x67")].count("\n") + 1, 20)


def test_a_secret_among_the_keys_is_in_no_field(tmp_path: Path) -> None:
    token = TOKENS["a GitHub token"][0]
    write_leaf(tmp_path, SKILL_PATH, dumped(skill() | {token: token}))
    found = of_code("secret", tmp_path)
    assert [(finding.column, finding.field) for finding in found] == [(1, ""), (43, "")]


def test_a_secret_in_a_documents_url_is_found_at_the_password(tmp_path: Path) -> None:
    folder = write_leaf(tmp_path, "knowledge/tides", knowledge(repo="https://ann:hunter2@github.com/x/y"))
    (found,) = of_code("secret", tmp_path)
    line = (folder / "qna.yaml").read_text().splitlines()[found.line - 1]
    assert line[found.column - 1 :].startswith("hunter2@")


# --- whatever the text ------------------------------------------------------------------------------------------


@given(
    st.text()
    | st.lists(
        st.sampled_from(
            [
                *"=: \n\\\"'@/-_.",
                "://",
                "password",
                "token",
                "ghp_",
                "eyJ",
                "AKIA",
                "-----BEGIN PRIVATE KEY-----",
                "İ",
                BODY,
                "a1B2",
            ]
        )
    ).map("".join)
)
def test_any_text_can_be_looked_at(text: str) -> None:
    past = 0
    for hit in look(text):
        assert past <= hit.start < hit.end <= len(text)
        past = hit.end
        assert hit.message.isprintable()


SECRETS = st.one_of(
    st.text("abcdefghijklmnopqrstuvwyzABCDEFGHIJKLMNOPQRSTUVWYZ123456789", min_size=36, max_size=36).map(
        "ghp_".__add__
    ),
    st.text("abcdefghijklmnopqrstuvwyzABCDEFGHIJKLMNOPQRSTUVWYZ123456789", min_size=40, max_size=80).map(
        "sk-ant-".__add__
    ),
    st.text("abcdefghijkmnopqrstuvwyz123456789!", min_size=8, max_size=30).map("https://ann:{}@host.org/x".format),
)


@given(secret=SECRETS, before=st.text("abc é\n", max_size=20), style=st.sampled_from([None, "'", '"', "|", ">"]))
def test_a_secret_is_in_no_message_about_it(secret: str, before: str, style: str | None) -> None:
    file = yaml.safe_dump({"a": f"{before} {secret}", "b": [secret]}, default_style=style)
    found = found_in(Page("qna.yaml", file, load(file.encode()).root), look)
    hidden = secret.removeprefix("https://ann:").removesuffix("@host.org/x")
    assert len(found) == 2
    assert hidden not in "".join(map(str, found))
