from __future__ import annotations

import re
import textwrap
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.errors import RecipeError
from instructlab_like.filters.parts.bounded import MOST_WORK, Bounded, PatternError, bounded
from instructlab_like.filters.safety.policy import Policy

PACK = """
    rules:
    - name: code-name
      message: a code name
      phrases: [Project Heron, Blue Kettle]
    - name: ticket
      pattern: '\\bHK-[0-9]{3,6}\\b'
      case: true
      action: mask
      fields: [answer, context]
    - name: salary
      pattern: 'salary of [0-9]{1,9}'
      action: mask
      mask: a salary
    """


@pytest.fixture
def policy(tmp_path):
    def chosen(text: str = PACK) -> Policy:
        (tmp_path / "pack.yaml").write_text(textwrap.dedent(text), encoding="utf-8")
        return Policy(file=str(tmp_path / "pack.yaml"))

    return chosen


def test_a_phrase_is_found_on_its_own_with_any_blanks_and_case(sample, policy):
    told = policy().judge(sample("What is it?", "That is project\n  heron."))
    assert (told.keep, told.rule) == (False, "code-name")
    assert told.reason == 'a code name: "project heron" in the answer'
    assert policy().judge(sample("What is it?", "Project Herons fly; projectheron.")).keep


def test_masks_are_applied_together_and_in_their_fields_alone(sample, policy):
    old = sample("Is HK-1234 open?", "HK-1234 and HK-99 at a Salary of 5000.", context="HK-777")
    new = policy().judge(old).instead
    assert new is not None
    assert new.question == old.question
    assert new.answer == "[TICKET] and HK-99 at a a salary."
    assert new.context == "[TICKET]"
    assert policy().judge(sample("Q?", "hk-1234")).keep


def test_a_rule_that_rejects_goes_before_all_masks(sample, policy):
    assert policy().judge(sample("Q?", "HK-1234 of Blue Kettle")).rule == "code-name"


def test_a_mask_that_another_rule_forbids_rejects(sample, policy):
    pack = "rules:\n- {name: a, phrases: [one thing], action: mask, mask: other}\n- {name: b, phrases: [other]}\n"
    assert policy(pack).judge(sample("Q?", "one thing")).instead is None


def test_the_pack_that_comes_along_finds_marked_documents(sample):
    for text in ("ACME – COMPANY CONFIDENTIAL", "TLP:AMBER", "FOR OFFICIAL USE ONLY", "ATTORNEY-CLIENT PRIVILEGED"):
        assert not Policy().judge(sample("Q?", "A.", context=f"{text}\nThe bridge is long.")).keep
    for text in (
        "The memo was strictly confidential.",
        "What does TLP mean?",
        "A top secret plan",
        "internal use only",
    ):
        assert Policy().judge(sample(text, "Yes.")).keep


def test_another_pack_is_another_filter(policy):
    first = policy().identity()
    assert first == policy().identity()
    assert first != policy(PACK.replace("Heron", "Stork")).identity() != Policy().identity()


@pytest.mark.parametrize(
    ("pack", "where", "what"),
    [
        ("rules: 3", ":1:1", "holds a list of rules"),
        ("rules:\n- name: A B\n  phrases: [xy]", ":2:9", "needs a name"),
        ("rules:\n- phrases: [xy]", ":2:3", "needs a name"),
        ("rules:\n- name: a", ":2:3", "needs phrases or a pattern"),
        ("rules:\n- name: a\n  phrase: [xy]", ":3:3", "'phrase' is not known"),
        ("rules:\n- name: a\n  phrases: [x]", ":3:13", "two letters or more"),
        ("rules:\n- name: a\n  phrases: xy", ":3:12", "list of texts"),
        ("rules:\n- name: a\n  pattern: '(a+)+b'", ":3:12", "without end (character 3 of the pattern)"),
        ("rules:\n- name: a\n  pattern: 'a?'", ":3:3", "matches the empty text"),
        ("rules:\n- name: a\n  pattern: '[b-a]'", ":3:12", "this is no pattern"),
        ("rules:\n- name: a\n  pattern: xy\n  action: drop", ":4:11", "no such value of action"),
        ("rules:\n- name: a\n  pattern: xy\n  case: maybe", ":4:9", "no such value of case"),
        ("rules:\n- name: a\n  pattern: xy\n  fields: [body]", ":4:12", "no such field"),
        ("rules:\n- {name: a, pattern: xy}\n- {name: a, pattern: xy}", ":3:3", "two rules called 'a'"),
        ("rules:\n- {name: a, pattern: xy}\nrule: 3", ":3:1", "'rule' is not known"),
        ("rules: [", ":1", ""),
        ("rules:\n- 3", ":2:3", "a rule is a mapping"),
        ("rules:\n- {name: a, name: b, pattern: xy}", ":2", ""),
    ],
)
def test_a_mistake_in_a_pack_is_told_with_its_place(policy, pack, where, what):
    with pytest.raises(RecipeError) as told:
        policy(pack).identity()
    assert f"pack.yaml{where}" in told.value.where
    assert what in told.value.what
    assert told.value.fix


def test_a_pack_that_is_not_there_is_told(tmp_path):
    for file in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(RecipeError) as told:
            Policy(file=str(file)).identity()
        assert str(file) in told.value.where


# --- patterns ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern",
    ["(a{1,5}){1,9}b", "(?:(?:a|a){1,8}){1,2}z", "a.{0,100}b.{0,100}c.{0,100}d", r"(\w{1,20} ){0,5}x", "a*", "x{2,}"],
)
def test_what_could_take_long_is_refused(pattern):
    with pytest.raises(PatternError):
        bounded(pattern)


@pytest.mark.parametrize(
    ("pattern", "needles"),
    [
        (r"\bTLP:[ ]?(?:RED|AMBER)\b", ("TLP:",)),
        ("(?:foo|barn)s?", ("foo", "barn")),
        (r"\d{3}-\d{2}", ("-",)),
        (r"\d{3}|x", ()),
        ("colou?r", ("colo",)),
        ("(?=abc)de", ("de",)),
        (r"a\x2eb\u00e9", ("a.bé",)),
        ("[]a]b[^]]", ("b",)),
        ("(?:ab){2}", ("ab",)),
    ],
)
def test_words_that_every_find_has_are_known_beforehand(pattern, needles):
    assert bounded(pattern).needles == needles


ATOMS = st.sampled_from(["a", "b", ".", r"\d", r"\w", "[ab]", "[^a]", r"\b", r"\.", "^", "$"])
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: (
        st.tuples(inner, inner).map("".join)
        | st.tuples(inner, inner).map("|".join).map("(?:{})".format)
        | inner.map("(?:{})?".format)
        | st.tuples(inner, st.integers(0, 3), st.integers(0, 30)).map(lambda t: f"(?:{t[0]}){{{t[1]},{t[1] + t[2]}}}")
    ),
    max_leaves=8,
)


@given(PATTERNS, st.text("ab.1 \n", max_size=60))
def test_a_find_has_one_of_the_words_and_is_found_as_by_any_engine(pattern, text):
    told = outcome(pattern)
    if isinstance(told, PatternError):
        return
    match = re.search(told.pattern, text)
    if match and told.needles:
        assert any(needle in match[0] for needle in told.needles)


@given(st.text(max_size=30) | st.text("ab()[]{}|?*+\\.^$:=!0123,x-", max_size=20))
def test_any_text_is_a_pattern_or_refused_with_a_reason(pattern):
    told = outcome(pattern)
    if isinstance(told, PatternError):
        assert told.what
        assert told.fix
        assert 1 <= told.column <= len(pattern) + 1
    else:
        re.compile(told.pattern)


def outcome(pattern: str) -> Bounded | PatternError:
    try:
        return bounded(pattern)
    except PatternError as error:
        return error


def test_the_worst_that_is_let_through_ends_soon():
    told = bounded("(?:a{1,20}){1,2}(?:a|a){1,3}z")
    before = time.process_time()
    assert re.search(told.pattern, "a" * 1_000) is None
    assert time.process_time() - before < 60  # unbounded it would be years
    assert MOST_WORK <= 20_000
