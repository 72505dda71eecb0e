from __future__ import annotations

import pytest

from instructlab_like.filters.safety.secrets import Secrets

TOKEN = "gh" + "p_" + "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zZbCcD"
BODY = "MIIEpAIBAAKCAQEA7c9Xq2b4Jm1k8dTzPq3vYw5uR6sN0hGf\n" * 3
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize("part", ["question", "answer", "context"])
@pytest.mark.parametrize("secret", [TOKEN, "password: hunter2", "https://ann:mango77@git.host.org/x", PEM])
def test_a_secret_is_rejected_wherever_it_stands_and_not_repeated(sample, part, secret):
    texts = {"question": "What is it?", "answer": "A text.", "context": "A passage."}
    texts[part] = f"It reads: {secret}"
    told = Secrets().judge(sample(**texts))
    assert (told.keep, told.rule) == (False, "secret")
    assert f"in the {part}" in told.reason
    assert not any(hidden in told.reason for hidden in (TOKEN, "hunter2", "mango77", BODY))


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"use {TOKEN}, twice {TOKEN}", "use [SECRET], twice [SECRET]"),
        ("password: hunter2.", "password: [SECRET]."),
        ("https://ann:mango77@git.host.org/x", "https://ann:[SECRET]@git.host.org/x"),
    ],
)
def test_a_secret_can_be_masked(sample, text, masked):
    old = sample("Show it.", text)
    new = Secrets(action="mask").judge(old).instead
    assert new is not None
    assert new.answer == masked
    assert new.lineage.parents == (old.id,)
    assert Secrets().judge(new).keep


def test_a_masked_key_leaves_nothing_of_it(sample):
    new = Secrets(action="mask").judge(sample("Show it.", f"Here:\n{PEM}\nDone.")).instead
    assert new is not None
    assert "MIIE" not in new.answer
    assert new.answer.endswith("\nDone.")


@pytest.mark.parametrize(
    "text", ["AK" + "IAIOSFODNN7EXAMPLE", "password: <yours>", "API_KEY=your-key-here", "token budget: 4096"]
)
def test_what_documentation_prints_passes(sample, text):
    assert Secrets().judge(sample("How is it set?", text)).keep
