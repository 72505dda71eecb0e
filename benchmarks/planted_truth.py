"""Recall and precision of each filter on planted faults and on what looks like them: the table of docs/filters.md.

`python -m benchmarks planted_truth`; ILK_PLANTED names filters, to see what they missed and what they rejected wrongly.
"""

from __future__ import annotations

import os

from benchmarks.planted import planted
from benchmarks.planted.measure import Measured, measured

SEED, COUNT = 20261121, 4_000


def main() -> None:
    wanted = [name for name in os.environ.get("ILK_PLANTED", "").split(",") if name]
    print("| filter | planted | recall | least by kind | hard negatives | precision |")
    print("|---|--:|--:|---|--:|--:|")
    for one in planted():
        if wanted and one.filter not in wanted:
            continue
        found = measured(one, seed=SEED, count=min(COUNT, one.most))
        print(row(found), flush=True)
        if wanted:
            for line in (*found.missed, *found.wrongly):
                print(f"    {line}")
            for kind in found.kinds:
                print(f"    {kind.name:<30} {'fault' if kind.bad else 'none':<6} {kind.rejected:>6} of {kind.count}")


def row(found: Measured) -> str:
    faults = [kind for kind in found.kinds if kind.bad]
    fine = [kind for kind in found.kinds if not kind.bad]
    least = min(faults, key=lambda kind: kind.share) if faults else None
    told = f"{least.share:.3f} ({least.name}, of {len(faults)})" if least else "–"
    return (
        f"| {found.filter} | {sum(kind.count for kind in faults):,} | {found.recall:.3f} | {told} "
        f"| {sum(kind.count for kind in fine):,} | {found.precision:.4f} |"
    )


if __name__ == "__main__":
    main()
