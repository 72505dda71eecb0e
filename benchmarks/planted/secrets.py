"""Planted keys, tokens and passwords, and what documentation, code and prose write in their place."""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable, Iterator

from benchmarks.planted import Case, Floors
from benchmarks.planted.domains import TRADES, made, name
from instructlab_like.records import Sample

FLOORS = Floors(recall=0.98, precision=0.99)
Draw = Callable[[random.Random], str]

MIXED = string.ascii_letters + string.digits
HEX = "0123456789abcdef"


def signs(rng: random.Random, count: int, of: str = MIXED) -> str:
    return "".join(rng.choice(of) for _ in range(count))


def web_token(rng: random.Random) -> str:
    parts = ({"alg": rng.choice(["HS256", "RS256"]), "typ": "JWT"}, {"sub": name(rng), "iat": rng.randint(1, 2**31)})
    written = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join((*written, signs(rng, 43, MIXED + "-_")))


def pem(rng: random.Random) -> str:
    kind = rng.choice(["RSA ", "EC ", "OPENSSH ", "", "ENCRYPTED "])
    lines = "\n".join(signs(rng, 64, MIXED + "+/") for _ in range(rng.randint(2, 6)))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{lines}\n-----END {kind}PRIVATE KEY-----"


WORDS_TEXT = "amber badger cobalt drizzle ember falcon gravel harbor indigo juniper kettle lantern marble nectar orchid"
WORDS = WORDS_TEXT.split()


def chosen(rng: random.Random) -> str:
    """A password as people make one up."""
    word, other = rng.sample(WORDS, 2)
    number = rng.randint(20, 9_899)
    forms = (
        f"{word}{number}",
        f"{word.title()}{number}!",
        f"{word}_{other}{number}",
        f"{number}{word.title()}",
        f"{word}!{other}#{number % 90 + 10}",
    )
    return rng.choice([*forms, signs(rng, rng.randint(9, 14), MIXED + "!#%&")[:-2] + f"q{rng.randint(1, 9)}"])


def assigned(rng: random.Random) -> str:
    forms = (
        "password: {}",
        "Password = {}",
        "PASSWORD={}",
        "passwd: {}",
        'password: "{}"',
        "DB_PASSWORD={}",
        "db_pass = '{}'",
        "the password is {}",
        "My password is {}.",
        "Her new password: {}",
        "Das Passwort lautet {}",
        "Passwort: {}",
        "mot de passe : {}",
        "contraseña: {}",
        "senha: {}",
        '{{"user": "ivo", "password": "{}"}}',
        "spring.datasource.password={}",
        "пароль: {}",
        "密码：{}",
        "pwd={};",
        "Wi-Fi password: {}",
    )
    return rng.choice(forms).format(chosen(rng))


def named(rng: random.Random) -> str:
    forms = (
        'api_key = "{}"',
        "API_KEY={}",
        "apiKey: '{}'",
        "secret: {}",
        "client_secret={}",
        "auth token: {}",
        "access_token: {}",
        "X-Api-Key: {}",
    )
    return rng.choice(forms).format(signs(rng, rng.randint(20, 40), rng.choice([MIXED, HEX])) + "7f2")


def in_url(rng: random.Random) -> str:
    scheme = rng.choice(["postgres", "mysql", "mongodb+srv", "redis", "https", "amqp", "ftp"])
    host = f"{name(rng).lower()}.{rng.choice(['net', 'internal', 'io'])}:5432"
    return f"{scheme}://{name(rng).lower()}:{chosen(rng).replace('#', '')}@{host}/x"


def basic(rng: random.Random) -> str:
    return "Authorization: Basic " + base64.b64encode(f"{name(rng).lower()}:{chosen(rng)}".encode()).decode()


# Put together, so that no scanner takes these lines for the thing itself.
SECRETS: dict[str, Draw] = {
    "AWS access key": lambda rng: "AK" + "IA" + signs(rng, 16, string.ascii_uppercase + "234567"),
    "GitHub token": lambda rng: rng.choice(["gh" + "p_", "gh" + "o_", "gh" + "s_"]) + signs(rng, 36),
    "GitHub fine-grained token": lambda rng: "github_" + "pat_" + signs(rng, 22) + "_" + signs(rng, 59),
    "OpenAI key": lambda rng: rng.choice(["sk" + "-" + signs(rng, 48), "sk" + "-proj-" + signs(rng, 60, MIXED + "_-")]),
    "Anthropic key": lambda rng: "sk" + "-ant-api03-" + signs(rng, 80, MIXED + "_-") + "AA",
    "Slack token": lambda rng: (
        f"xox{rng.choice('bpas')}-{signs(rng, 12, string.digits)}-{signs(rng, 12, string.digits)}-{signs(rng, 24)}"
    ),
    "Stripe key": lambda rng: "sk" + "_live_" + signs(rng, 24),
    "Google key": lambda rng: "AI" + "za" + signs(rng, 35, MIXED + "_-"),
    "GitLab token": lambda rng: "glp" + "at-" + signs(rng, 20, MIXED + "_-"),
    "Hugging Face token": lambda rng: "hf" + "_" + signs(rng, 34),
    "npm token": lambda rng: "npm" + "_" + signs(rng, 36),
    "SendGrid key": lambda rng: "S" + "G." + signs(rng, 22) + "." + signs(rng, 43),
    "Telegram token": lambda rng: signs(rng, 9, "123456789") + ":AA" + signs(rng, 33),
    "DigitalOcean token": lambda rng: "dop" + "_v1_" + signs(rng, 64, HEX),
    "web token": web_token,
    "private key": pem,
    "password in a URL": in_url,
    "password": assigned,
    "named key": named,
    "password in a header": basic,
}


def prose(rng: random.Random) -> str:
    word = rng.choice(WORDS)
    forms = (
        "The password must be at least {} characters long.",
        "Password: {}-20 characters, one of them a digit",
        "The secret is to stir it {} times.",
        "the token budget is {} tokens",
        "a boarding pass: gate B{}",
        "The pass is 2{}0 m high",
        "passport number, visa, and {} photographs",
        "The key is number {} on the board.",
        "tokens: {}, 4096",
        "Bearer bonds of 19{} fell.",
    )
    return f"{rng.choice(forms).format(rng.randint(6, 88))} ({word})"


NONE: dict[str, Draw] = {
    "placeholder": lambda rng: rng.choice(
        [
            "password: <your password>",
            "API_KEY=your-api-key-here",
            "token: xxxxxxxxxxxxxxxxxxxx",
            "sk-...",
            "gh" + "p_" + "x" * 36,
            "secret: ********",
            "password: {{ password }}",
            "password=${DB_PASSWORD}",
            "AK" + "IAIOSFODNN7EXAMPLE",
            "client_secret=REDACTED-0000",
            "password: changeme123",
        ]
    ),
    "example's password": lambda rng: rng.choice(
        ["password = '{}'", "password: {}", '"password": "{}"', "postgres://user:{}@localhost/app"]
    ).format(
        rng.choice(
            [
                "password123",
                "mypassword1",
                "secret123",
                "Passw0rd!",
                "test1234",
                "admin123",
                "user_password2",
                "securePassword1",
                "abc12345",
                "new_password1",
            ]
        )
    ),
    "code": lambda rng: rng.choice(
        [
            "password = input('Password 1: ')",
            "user.password = hash_password(form.password1)",
            "if password == stored_password2:",
            "password: Optional[str] = None",
            "const token = await getToken2(user);",
            "token = tokens[i + 1]",
            "key=lambda pair: pair[1]",
            "password VARCHAR(255) NOT NULL",
            "self.secret_key = os.environ['K1']",
            "tokenizer_class = 'Qwen2Tokenizer'",
            "passwordField1.setText(x)",
            "key_value: dict[str, int64]",
        ]
    ),
    "digest": lambda rng: (
        rng.choice(["sha256: ", "commit ", "md5 = ", "etag: "]) + signs(rng, rng.choice([32, 40, 64]), HEX)
    ),
    "long word": lambda rng: rng.choice(
        [
            "Donaudampfschifffahrtsgesellschaftskapitän1",
            "https://host.org/a/2021/05/the-long-title-of-a-page-2-of-3.html",
            "task-oriented-dialogue-systems-2023",
            "com.acme.warehouse.v2.ShelfRepositoryImpl3",
            "SKU-2048-BLUE-XL-RETAIL",
            "/usr/lib/x86_64-linux-gnu/libstdc++.so.6.0.30",
            "550e8400-e29b-41d4-a716-446655440000",
        ]
    ),
    "public key": lambda rng: f"-----BEGIN PUBLIC KEY-----\n{signs(rng, 64, MIXED + '+/')}\n-----END PUBLIC KEY-----",
    "about keys": lambda rng: rng.choice(
        [
            "A PEM file begins with -----BEGIN PRIVATE KEY----- and ends likewise.",
            "GitHub tokens begin with ghp_ and have 40 characters.",
            "Keys that begin with sk- belong in a vault.",
            "An AWS key id begins with AKIA and has 20 characters.",
            "A JWT has three parts: header.payload.signature",
        ]
    ),
    "prose": prose,
    "data": lambda rng: "data:image/png;base64," + signs(rng, 80, MIXED + "+/"),
}


def placed(rng: random.Random, text: str) -> Sample:
    """A sample with the text in its question, its answer or its passage."""
    trade = rng.choice(TRADES)
    before, after = trade.statement(rng), trade.statement(rng)
    whole = rng.choice([f"{before} {text} {after}", f"{text}\n\n{after}", f"```\n{text}\n```\n{after}", text])
    place = rng.randrange(4)
    if place == 0:
        return made(f"{before} {text}\n{trade.short(rng)}", trade.statement(rng))
    if place == 1:
        return made(trade.short(rng), trade.statement(rng), kind="knowledge", context=f"{before}\n{text}\n{after}")
    return made(trade.question(rng), whole)


def cases(rng: random.Random, count: int) -> Iterator[Case]:
    for number in range(count):
        sort, bad = (SECRETS, True) if number % 2 else (NONE, False)
        kind = list(sort)[number // 2 % len(sort)]
        text = sort[kind](rng)
        if bad and kind not in ("password", "named key", "private key", "password in a header"):
            text = rng.choice(
                ["{}", "Use {} for it.", "export KEY={}", '"{}"', "The key {} still works", "key={}&x=1"]
            ).format(text)
        yield Case(kind, (placed(rng, text),), bad=bad)
