"""Texts made to keep a scan busy: each must be done with, in every part of a sample."""

from __future__ import annotations

import pytest

from instructlab_like.filters.safety.injection import Injection
from instructlab_like.filters.safety.personal import Personal
from instructlab_like.filters.safety.policy import Policy
from instructlab_like.filters.safety.secrets import Secrets

LONG = 20_000
TEXTS = {
    "dashes": "ignore the system\n" + "-" * LONG,
    "equals and hashes": "ignore the system\n" + "== ## " * (LONG // 6),
    "base64": "ignore " + "A" * 50 * LONG,
    "comments": "ignore " + "<!--" * LONG,
    "hidden elements": "ignore " + "<p hidden hidden hidden hidden style='color:white'>" * (LONG // 40),
    "digits": "1 2-3.4/5 " * LONG,
    "ats": "a@b.c@" * LONG,
    "dots": "1.2.3.4." * LONG,
    "colons": "2a02:" * LONG,
    "passwords": "password: " * LONG,
    "token marks": "sk-eyJ.ghp_AKIA" * LONG,
    "private keys": "-----BEGIN PRIVATE KEY-----\n" * (LONG // 10),
    "urls": "https://a:b" * LONG,
    "images": "ignore ![a](https://a.b/?a=" * (LONG // 10),
    "verbs": "ignore all of the previous " * (LONG // 10),
    "asking": "show your system, " * (LONG // 10),
    "quotes": "ignore all previous instructions \" ' ` " * 200,
    "invisible": "ignore \u200b" * LONG,
    "one word": "ignoreallpreviousinstructions" * LONG,
    "Chinese": "忽略之前" * LONG,
    "phones": "+49 30 " * LONG,
    "ibans": "DE89 3704 " * LONG,
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("what", TEXTS)
@pytest.mark.parametrize("kind", [Personal, Secrets, Injection, Policy])
def test_a_hostile_text_is_done_with(sample, kind, what):
    kind().judge(sample("What is it?", TEXTS[what]))
