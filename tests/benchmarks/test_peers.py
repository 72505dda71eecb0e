"""The comparison with peers: what it counts is what happened, and every arm is asked for the same."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from benchmarks.peers import arms, comparison, environments
from benchmarks.peers.comparison import Disturbed, Killed, Speed
from benchmarks.peers.measure import Bench, Seen
from benchmarks.peers.scripts.job import ANSWER, CONCURRENCY, QUESTION, TIMEOUT
from benchmarks.peers.workload import ASKS_ANSWER, ASKS_QUESTION, HANGING, MARK, Identity, Workload, answered
from instructlab_like.flows import load_flow
from instructlab_like.taxonomy.read import read_tree

linux = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="reads /proc")
SAMPLES = 30


def request(prompt: str, **more: object) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": prompt}], **more}).encode()


def asked(workload: Workload, samples: int) -> list[Identity | None]:
    found = []
    for number in range(samples):
        first = request(QUESTION.replace("{{ topic }}", f"bridge {number}"))
        question = answered(json.loads(first))
        found += [workload.identify(first), workload.identify(request(ANSWER.replace("{{ question }}", question)))]
    return found


def test_a_question_and_its_answer_are_one_sample():
    assert asked(Workload(), 2) == [
        Identity("question", 0),
        Identity("answer", 0),
        Identity("question", 1),
        Identity("answer", 1),
    ]


def test_what_is_no_step_is_not_counted_delayed_or_disturbed():
    workload = Workload(latency=5, faults=True)
    body = request("Hello!")
    assert workload.identify(body) is None
    assert answered(json.loads(body)) == "OK"


def test_an_answer_is_in_tags_only_where_the_prompt_shows_them():
    plain = answered(json.loads(request(QUESTION)))
    tagged = answered(json.loads(request(f"{QUESTION}\n\n[QUESTION 1]\nthe question\n[END 1]")))
    assert not plain.startswith("[")
    assert re.fullmatch(r"\[QUESTION 1\]\n.*\n\[END 1\]", tagged)


def test_the_prompts_of_every_arm_are_recognised():
    ours = [(arms.OURS / name).read_text(encoding="utf-8") for name in ("question.j2", "answer.j2")]
    theirs = [
        yaml.safe_load((arms.SCRIPTS / "sdg_hub_flow" / f"{name}.yaml").read_text(encoding="utf-8"))[0]["content"]
        for name in ("question", "answer")
    ]
    assert theirs == [QUESTION, ANSWER]
    for first, second in ((QUESTION, ANSWER), ours, theirs):
        assert ASKS_QUESTION in first
        assert ASKS_ANSWER in second


def test_sdg_hub_has_the_limits_of_the_others():
    flow = yaml.safe_load((arms.SCRIPTS / "sdg_hub_flow" / "flow.yaml").read_text(encoding="utf-8"))
    asking = [block["block_config"] for block in flow["blocks"] if block["block_type"] == "LLMChatBlock"]
    assert [block["timeout"] for block in asking] == [TIMEOUT, TIMEOUT]
    assert all(block["async_mode"] for block in asking)


def test_latency_and_faults_depend_on_the_sample_and_not_on_the_wording():
    def seconds(wording: str) -> Counter[float]:
        workload = Workload(latency=0.05, share=0.5, slow=1.0)
        for number in range(40):
            workload.identify(request(f"{ASKS_QUESTION} {wording} {number}"))
        return Counter(workload.of(digest) for digest in workload.identities)

    assert seconds("bridges") == seconds("towers")
    assert set(seconds("bridges")) == {0.05, 1.0}


@pytest.mark.parametrize("peer", arms.PEERS)
def test_pins_are_exact_and_hold_the_peer(peer):
    lines = (environments.PINS / f"{peer}.txt").read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"#.*|[\w.-]+==[\w.]+", line) for line in lines)
    assert re.fullmatch(r"\d+\.\d+\.\d+", environments.version(peer))


def test_a_peer_that_cannot_be_installed_is_named_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(environments, "PINS", tmp_path)
    (tmp_path / "nobody.txt").write_text("./no-such-package-anywhere\n")
    with pytest.raises(environments.UnavailableError, match="no-such-package"):
        environments.interpreter("nobody", tmp_path / "cache")


def test_our_leaves_and_flow_are_valid_and_give_enough_prompts(tmp_path):
    arms.write_tree(tmp_path)
    leaves, problems = read_tree(tmp_path)
    assert not problems
    flow = load_flow(str(arms.OURS / "two_steps.yaml"))
    assert len(leaves) == arms.LEAVES
    assert all(flow.takes(leaf) and len(leaf.seeds) == arms.SEEDS for leaf in leaves)


@linux
def test_the_floor_makes_every_row_and_its_steps_overlap():
    made = comparison.speed(arms.floor(), SAMPLES, Workload(latency=0.01))
    assert isinstance(made, Speed)
    assert made.rows == SAMPLES
    assert made.in_flight <= CONCURRENCY
    assert made.first_sample <= made.wall


@linux
def test_an_arm_that_fails_says_how(tmp_path):
    script = tmp_path / "fails.py"
    script.write_text("raise ValueError('no teacher here')")
    arm = arms.Arm("fails", lambda *_: [sys.executable, str(script)], lambda _: [])
    assert comparison.speed(arm, 1, Workload()) == "exit code 1: ValueError: no teacher here"


@linux
def test_a_killed_arm_that_keeps_nothing_asks_everything_again():
    found = comparison.killed(arms.floor(), 4 * SAMPLES, Workload(latency=0.01))
    assert isinstance(found, Killed)
    assert found.answered >= 4 * SAMPLES
    assert found.again == found.answered
    assert found.settled == found.answered - CONCURRENCY
    assert (found.rows, found.duplicates, found.end) == (4 * SAMPLES, 0, "finished")


@linux
def test_an_arm_without_retries_ends_with_a_fault():
    found = comparison.disturbed(arms.floor(), SAMPLES, Workload(faults=True))
    assert isinstance(found, Disturbed)
    assert found.rows == 0
    assert found.end.startswith("exit code 1: ")


@linux
def test_a_command_that_does_not_end_is_ended_and_said_to_be_late(tmp_path):
    with Bench(Workload()) as bench:
        run = bench.run([sys.executable, "-c", "import time; time.sleep(600)"], tmp_path, limit=0.2)
    assert run.code is None
    assert comparison.ending(run).startswith("did not end in")


class Call:
    """As much of an entry of the server's log as is counted."""

    def __init__(self, arrived: float, left: float, done: str = "answered", status: int = 200) -> None:
        self.arrived, self.left, self.done, self.status = arrived, left, done, status


def test_calls_in_flight_overlap_and_waits_are_read_off_the_servers_log():
    question, answer = Identity("question", 0), Identity("answer", 0)
    seen = Seen(
        [
            (question, Call(0.0, 0.5, "429", 429)),
            (question, Call(2.0, 3.0)),
            (Identity("question", 1), Call(2.5, 4.0)),
            (answer, Call(3.0, 4.0)),
            (answer, Call(4.0, 5.0)),
        ]
    )
    assert seen.waits == [1.5]
    assert seen.in_flight == pytest.approx((0.5 + 1 + 1.5 + 1 + 1) / 5)
    assert seen.first_sample == 4.0
    assert seen.overlap
    assert seen.asked_again == 1


def test_steps_with_a_barrier_do_not_overlap():
    assert not Seen([(Identity("question", 0), Call(0, 1)), (Identity("answer", 0), Call(1, 2))]).overlap


def test_a_hanging_call_comes_once():
    workload = Workload(faults=True)
    for number in range(HANGING + 1):
        body = request(f"{ASKS_QUESTION} {number}")
        workload.identify(body)
    found = [workload.fault(body, times) for times in range(2)]
    assert found[0] is not None
    assert found[0].kind == "hang"
    assert found[1] is None or found[1].kind != "hang"


def test_every_row_of_an_arm_carries_one_mark_twice(tmp_path):
    row = json.dumps({"question": "What? (ref 0123456789abcdef)", "answer": "This (ref 0123456789abcdef)."})
    mixed = row.replace("This (ref 0123456789abcdef)", "That (ref fedcba9876543210)")
    arm = arms.Arm("two rows", lambda *_: [], lambda _: [row, mixed])
    assert comparison.marks(arm, tmp_path) == ["0123456789abcdef"]
    assert MARK.findall(row) == ["0123456789abcdef"] * 2
