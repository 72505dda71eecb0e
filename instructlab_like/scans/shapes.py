"""The shapes of keys and tokens, as their issuers document them."""

from __future__ import annotations

import json
import math
import re
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    name: str
    marks: tuple[str, ...]  # one of them is in every text with such a secret
    pattern: re.Pattern[str]  # with a group `secret`; `at`, if there is one, is where it is said to stand
    holds: Callable[[re.Match[str]], bool] = lambda _: True
    apart: bool = False  # whether the mark may stand in another word than the secret


def _token(name: str, marks: tuple[str, ...], rest: str) -> Shape:
    """A token that begins with one of the marks and stands alone."""
    begin = "|".join(map(re.escape, marks))
    return Shape(name, marks, re.compile(rf"(?<![A-Za-z0-9_])(?P<secret>(?:{begin}){rest})(?![A-Za-z0-9_])"))


def _is_jwt(match: re.Match[str]) -> bool:
    header = match["secret"].partition(".")[0]
    try:
        told = json.loads(urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except (ValueError, RecursionError):
        return False
    return isinstance(told, dict) and "alg" in told


def _is_aws_secret(match: re.Match[str]) -> bool:
    """Forty characters of base64 are a secret only beside what names them one."""
    near = match.string[max(0, match.start() - 300) : match.end() + 300]
    named = re.search(r"(?:AKIA|ASIA)[A-Z0-9]{16}|aws.{0,12}(?:secret|key)|secret.{0,3}access", near, re.IGNORECASE)
    secret = match["secret"]
    classes = (str.islower, str.isupper, str.isdigit)
    return bool(named) and all(any(map(kind, secret)) for kind in classes) and entropy(secret) >= 4


def _is_named_key(match: re.Match[str]) -> bool:
    before = match.string[max(0, match.start() - 60) : match.start()]
    return bool(re.search(r"twilio|sid\b|key|token|account|auth", before, re.IGNORECASE))


def _is_password(match: re.Match[str]) -> bool:
    return not _STAND_INS.fullmatch(match["secret"]) and not re.search(r"[{}]|\A[$%]", match["secret"])


def _is_not_quoted(match: re.Match[str]) -> bool:
    """A text about the format quotes the line, or says that a file begins with it."""
    before, after = (
        match.string[max(0, match.start() - 40) : match.start()],
        match.string[match.end() : match.end() + 1],
    )
    quoted = before[-1:] in tuple("`'\"“‘«") and after in tuple("`'\"”’»")
    return not quoted and not re.search(
        r"\b(?:begin|start|open|head|mark|line)[a-z]*\b[^.\n]{0,20}\Z", before, re.IGNORECASE
    )


def _is_mixed(match: re.Match[str]) -> bool:
    """Whether letters and digits take turns as nobody writes them."""
    bare = match["secret"].rpartition("-")[2]
    return len(re.findall("[0-9]+", bare)) > 1 and entropy(bare) >= 3.2


_STAND_INS = re.compile(
    "anonymous|api_?key|guest|key|(?:my_?|your_?)?pass(?:word|wd)?|pwd?|secret|token|user", re.IGNORECASE
)
_BASE64 = "[A-Za-z0-9+/]"
_BREAK = r"(?:\\[nr]|[\s#>|\"',*])"  # part of what is between the lines of a key in a comment, a quotation or JSON
_BODY = rf"{_BREAK}*(?P<secret>{_BASE64}{{16}}[A-Za-z0-9+/=]*(?:{_BREAK}+[A-Za-z0-9+/=]{{16,}})*)"

SHAPES = (
    Shape(
        "a private key",
        ("PRIVATE KEY",),
        re.compile(
            r"(?P<at>-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----)"
            rf"(?:{_BREAK}*[A-Za-z][A-Za-z-]{{0,30}}: [^\n]{{0,200}}\n){{0,6}}{_BODY}"
        ),
        apart=True,
    ),
    Shape(
        "the beginning of a private key",
        ("PRIVATE KEY",),
        re.compile(
            r"(?P<secret>-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----)(?!\s*(?:\.\.|…|[<\[*]))"
        ),
        _is_not_quoted,
        apart=True,
    ),
    Shape(
        "a private key",
        ("PuTTY-User-Key-File",),
        re.compile(rf"(?P<at>Private-Lines: \d{{1,4}}){_BODY}"),
    ),
    Shape(
        "an AWS access key id",
        ("AKIA", "ASIA"),
        re.compile(r"(?<![A-Za-z0-9])(?P<secret>(?:AKIA|ASIA)[A-Z0-9]{16})(?![A-Za-z0-9])"),
    ),
    Shape(
        "an AWS secret access key",
        ("AKIA", "ASIA", "aws", "AWS", "SecretAccessKey"),
        re.compile(r"(?<![A-Za-z0-9/+])(?P<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"),
        _is_aws_secret,
        apart=True,
    ),
    _token("a GitHub token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), "[A-Za-z0-9]{30,255}"),
    _token("a GitHub token", ("github_pat_",), "[A-Za-z0-9_]{36,255}"),
    _token("a GitLab token", ("glpat-", "gldt-", "glrt-"), "[A-Za-z0-9_-]{20,255}(?:\\.[a-z0-9]{2}\\.[a-z0-9]{9})?"),
    _token("a Slack token", ("xoxa-", "xoxb-", "xoxe-", "xoxo-", "xoxp-", "xoxr-", "xoxs-"), "[A-Za-z0-9-]{10,255}"),
    Shape(
        "a Slack webhook",
        ("hooks.slack.com/",),
        re.compile(r"hooks\.slack\.com/(?:services|workflows)/(?P<secret>T\w{6,16}/[AB]\w{6,16}/[A-Za-z0-9/]{16,64})"),
    ),
    _token("a Stripe key", ("sk_live_", "rk_live_"), "[A-Za-z0-9]{16,255}"),
    _token("an Anthropic key", ("sk-ant-",), "[A-Za-z0-9_-]{20,255}"),
    _token("an OpenAI key", ("sk-proj-", "sk-svcacct-", "sk-admin-"), "[A-Za-z0-9_-]{20,255}"),
    _token("an OpenAI key", ("sk-",), "[A-Za-z0-9]{32,64}"),
    _token("a Hugging Face token", ("hf_",), "[A-Za-z0-9]{30,64}"),
    _token("a Groq key", ("gsk_",), "[A-Za-z0-9]{40,64}"),
    _token("a Google API key", ("AIza",), "[A-Za-z0-9_-]{35}"),
    _token("a Google client secret", ("GOCSPX-",), "[A-Za-z0-9_-]{28}"),
    _token("an npm token", ("npm_",), "[A-Za-z0-9]{36}"),
    _token("a PyPI token", ("pypi-AgEI", "pypi-AgEN"), "[A-Za-z0-9_-]{20,255}"),
    _token("a Docker token", ("dckr_pat_",), "[A-Za-z0-9_-]{20,64}"),
    _token("a DigitalOcean token", ("dop_v1_", "doo_v1_", "dor_v1_"), "[0-9a-f]{64}"),
    _token("a Shopify token", ("shpat_", "shpca_", "shppa_", "shpss_"), "[0-9a-fA-F]{32}"),
    _token("a Vault token", ("hvs.", "hvb."), "[A-Za-z0-9_-]{24,255}"),
    _token("an age key", ("AGE-SECRET-KEY-1",), "[A-Z0-9]{50,60}"),
    _token("a SendGrid key", ("SG.",), "[A-Za-z0-9_-]{16,32}\\.[A-Za-z0-9_-]{32,64}"),
    Shape(
        "a Telegram bot token",
        (":AA",),
        re.compile(r"(?<![A-Za-z0-9])(?P<secret>[0-9]{8,10}:AA[A-Za-z0-9_-]{33})(?![A-Za-z0-9_-])"),
    ),
    Shape(
        "a Twilio key",
        ("SK", "AC"),
        re.compile(r"(?<![A-Za-z0-9])(?P<secret>(?:SK|AC)[0-9a-f]{32})(?![A-Za-z0-9])"),
        _is_named_key,
    ),
    Shape(
        "a storage account key",
        ("AccountKey=",),
        re.compile(rf"AccountKey=(?P<secret>{_BASE64}{{86}}==)"),
    ),
    Shape(
        "a JSON web token",
        ("eyJ",),
        re.compile(r"(?<![A-Za-z0-9_.-])(?P<secret>eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{8,})"),
        _is_jwt,
    ),
    Shape(
        "a password in a URL",
        ("://",),
        re.compile(r"://[^\s/:@\"'<>]{0,64}:(?P<secret>[^\s/@\"'<>]{3,128})@(?=[\w\[])"),
        _is_password,
    ),
)

# Found by the filter alone: newer issuers, and shapes that say less.
FURTHER_SHAPES = (
    Shape(
        "a JSON web token",
        ("eyJ",),
        re.compile(r"(?<![A-Za-z0-9_.-])(?P<secret>eyJ[A-Za-z0-9_-]{4,}\.eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{16,})"),
    ),
    Shape(
        "an OpenAI key",
        ("sk-",),
        re.compile(r"(?<![A-Za-z0-9_-])(?P<secret>sk-[A-Za-z0-9]{20,64})(?![A-Za-z0-9_-])"),
        _is_mixed,
    ),
    _token("a GitHub token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), "[A-Za-z0-9]{20,29}"),
    _token("a Stripe secret", ("whsec_",), "[A-Za-z0-9+/=]{24,255}"),
    _token("an OpenRouter key", ("sk-or-v1-",), "[0-9a-f]{32,64}"),
    _token("an xAI key", ("xai-",), "[A-Za-z0-9]{60,100}"),
    _token("a Perplexity key", ("pplx-",), "[A-Za-z0-9]{40,64}"),
    _token("a Replicate token", ("r8_",), "[A-Za-z0-9]{37}"),
    _token("a Databricks token", ("dapi",), "[0-9a-f]{32}(?:-[0-9])?"),
    _token("a Grafana token", ("glsa_",), "[A-Za-z0-9]{32}_[0-9a-f]{8}"),
    _token("a Grafana token", ("glc_",), "[A-Za-z0-9+/=]{32,400}"),
    _token("a Linear key", ("lin_api_",), "[A-Za-z0-9]{40}"),
    _token("a Notion token", ("ntn_",), "[A-Za-z0-9]{40,60}"),
    _token("a Figma token", ("figd_",), "[A-Za-z0-9_-]{36,60}"),
    _token("an Atlassian token", ("ATATT3x",), "[A-Za-z0-9_=-]{100,400}"),
    _token("a New Relic key", ("NRAK-",), "[A-Z0-9]{27}"),
    _token("a Postman key", ("PMAK-",), "[0-9a-f]{24}-[0-9a-f]{34}"),
    _token("a RubyGems key", ("rubygems_",), "[0-9a-f]{48}"),
    _token("a Doppler token", ("dp.pt.", "dp.st."), "[A-Za-z0-9_.-]{40,80}"),
    _token("a Pulumi token", ("pul-",), "[0-9a-f]{40}"),
    _token("a Supabase token", ("sbp_",), "[0-9a-f]{40}"),
    _token("a PlanetScale token", ("pscale_tkn_", "pscale_pw_"), "[A-Za-z0-9_.=-]{32,64}"),
    _token("a HubSpot token", ("pat-na1-", "pat-eu1-"), "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    _token("a Google token", ("ya29.",), "[A-Za-z0-9_-]{30,255}"),
    _token("a Square token", ("sq0atp-", "sq0csp-"), "[A-Za-z0-9_-]{22,43}"),
    _token("a Mailgun key", ("key-",), "[0-9a-f]{32}"),
    Shape(
        "a Mailchimp key",
        ("-us",),
        re.compile(r"(?<![A-Za-z0-9])(?P<secret>[0-9a-f]{32}-us[0-9]{1,2})(?![A-Za-z0-9])"),
    ),
    Shape(
        "a Discord webhook",
        ("/api/webhooks/",),
        re.compile(r"discord(?:app)?\.com/api/webhooks/[0-9]{17,20}/(?P<secret>[A-Za-z0-9_-]{60,80})"),
    ),
)


def entropy(text: str) -> float:
    """Bits a character."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())
