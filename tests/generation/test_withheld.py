"""Which chunks are held out: so many, always the same, and none that a prompt shows all the same."""

from __future__ import annotations

from instructlab_like.generation.withheld import withheld
from instructlab_like.records import Chunk, Pair, Seed


def chunk(number: int, text: str = "") -> Chunk:
    text = (
        text
        or f"Harbour {number} lies {number} miles inland and has {number} metres of water, {number} more in spring."
    )
    told = {"repo": ".", "commit": "HEAD", "document": "a.md", "blob": f"{number:040x}"}
    return Chunk(**told, start=100 * number, end=100 * number + len(text), text=text)


def seed(context: str) -> Seed:
    return Seed(number=1, line=1, context=context, pairs=(Pair(question="Q?", answer="A"),))


CHUNKS = [chunk(number) for number in range(20)]


def test_a_share_of_the_chunks_is_held_out_rounded_down() -> None:
    assert [len(withheld(CHUNKS, (), share=share, seed=0)) for share in (0.0, 0.04, 0.1, 0.3, 0.99)] == [0, 0, 2, 6, 19]
    assert not withheld(CHUNKS[:1], (), share=0.9, seed=0)
    assert not withheld([], (), share=0.9, seed=0)


def test_the_choice_depends_on_ids_and_seed_alone() -> None:
    few = withheld(CHUNKS, (), share=0.3, seed=0)
    assert few == withheld(CHUNKS[::-1], (), share=0.3, seed=0)
    assert few != withheld(CHUNKS, (), share=0.3, seed=1)
    assert withheld(CHUNKS, (), share=0.1, seed=0) < few


def test_what_a_seed_example_quotes_is_shown_to_teachers_and_stays() -> None:
    quoting = [seed(one.text) for one in CHUNKS[:15]]
    held = withheld(CHUNKS, quoting, share=0.9, seed=0)
    assert held == {one.id for one in CHUNKS[15:]}


def test_chunks_of_the_same_text_share_their_fate() -> None:
    twins = [chunk(30, CHUNKS[3].text), chunk(31, CHUNKS[3].text.upper())]
    fates = set()
    for number in range(12):
        held = withheld([*CHUNKS, *twins], (), share=0.5, seed=number)
        assert len(held) <= 11
        fates.add(tuple(one.id in held for one in (CHUNKS[3], *twins)))
    assert fates == {(False, False, False), (True, True, True)}
