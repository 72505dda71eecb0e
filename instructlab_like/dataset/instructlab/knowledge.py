"""Knowledge rows: each question with the passage it is about (p07), and among passages it is not about (p10, RAFT)."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from instructlab_like.dataset.instructlab.lines import NodeLine, asked, metadata
from instructlab_like.records import Sample

DATASET = "document_knowledge_qa"
GOLDEN = 0.4  # share of rows that have the passage which answers them (arXiv 2403.10131)
DOCUMENTS = 4  # passages in a row


def phase07(samples: Sequence[Sample], domain: str) -> Iterator[NodeLine]:
    """Passage and question, then the answer; all of it is trained on."""
    for sample in samples:
        yield NodeLine(
            id=sample.id,
            messages=asked(f"{sample.context}\n\n{sample.question}", sample.answer),
            metadata=metadata({"sdg_document": sample.context or "", "domain": domain, "dataset": DATASET}),
            unmask=True,
        )


def phase10(samples: Sequence[Sample], domain: str, *, seed: int) -> Iterator[NodeLine]:
    """Each question among several of the leaf's passages, then the rows of p07 again.

    What is drawn for a row follows from the seed, the sample's id and the leaf's passages, whatever their order.
    """
    passages = sorted({sample.context or "" for sample in samples})
    for sample in samples:
        documents = "\n".join(f"Document:\n{text}\n\n" for text in around(sample, passages, seed=seed))
        told = {"sdg_document": sample.context or "", "domain": domain, "dataset": f"{DATASET}_raft_p{GOLDEN}"}
        yield NodeLine(
            id=f"{sample.id}-raft",
            messages=asked(f"{documents}\n\n{sample.question}", sample.answer),
            metadata=metadata(told),
            unmask=False,
        )
    yield from phase07(samples, domain)


def around(sample: Sample, passages: Sequence[str], *, seed: int) -> list[str]:
    """The passages of one row: with a chance of `GOLDEN` the sample's own among others, else others alone.

    `passages` are all of the leaf, sorted, the sample's own among them. As many as there are where there are fewer than
    `DOCUMENTS`; a leaf's only passage always stands in its rows.
    """
    own = bisect_left(passages, sample.context or "")
    others = len(passages) - 1
    if not others:
        return list(passages)
    rng = random.Random(f"raft {seed} {sample.id}")
    golden = rng.random() < GOLDEN
    drawn = [place + (place >= own) for place in rng.sample(range(others), min(others, DOCUMENTS - golden))]
    if golden:
        drawn.append(own)
    rng.shuffle(drawn)
    return [passages[place] for place in drawn]
