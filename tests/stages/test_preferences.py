from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instructlab_like.records import Message, Preference, digest
from instructlab_like.stages.generating.preferences import Preferences
from instructlab_like.stock import id_bytes
from instructlab_like.workspace import read_records


def pair(number, text="Ja\r\n– 東京\u2028"):
    chosen = digest([number])[:32]
    return Preference(
        leaf="l",
        chosen=chosen,
        rejected="0" * 32,
        chosen_score=4.0,
        rejected_score=2.5,
        messages=(Message(role="user", content=text),),
        chosen_answer=text,
        rejected_answer="no",
    )


def written(folder, walks, kept):
    path = folder / "preferences.jsonl"
    with Preferences(folder) as preferences:
        for number, pairs in walks:
            preferences.add(number, pairs)
        preferences.write(path, {id_bytes(one.chosen) for one in kept})
    assert [one.name for one in folder.iterdir()] == [path.name] * path.exists()
    return list(read_records(path, Preference)) if path.exists() else None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(7)), st.lists(st.integers(0, 6), max_size=7), st.sets(st.integers(0, 20)))
def test_pairs_stand_in_the_order_of_their_walks_whenever_these_ended(tmp_path, order, sizes, kept):
    walks = [(number, [pair(3 * number + n) for n in range(size % 4)]) for number, size in zip(order, sizes)]  # noqa: B905
    told = [one for _, pairs in sorted(walks) for one in sorted(pairs, key=lambda one: one.chosen)]
    good = [pair(number) for number in kept]
    expected = [one for one in told if one in good]
    assert written(tmp_path, walks, good) == (expected or None)


def test_an_earlier_file_goes_when_no_pair_is_left(tmp_path):
    assert written(tmp_path, [(0, [pair(1)])], [pair(1)]) == [pair(1)]
    assert written(tmp_path, [(0, [pair(1)])], []) is None
    assert written(tmp_path, [], [pair(1)]) is None
