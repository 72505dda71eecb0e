"""Run every benchmark and print its table: `python -m benchmarks [NAME …]`."""

from __future__ import annotations

import sys
from importlib import import_module

NAMES = (
    *("start_up", "reading", "conformance", "large_tree", "corpus", "repositories"),
    *("engine", "whole_stage", "lineage", "packing", "leaf_loss", "training_memory"),
    *("planted_truth", "filters", "copies", "novelty", "personal_data"),
)
# Asked for by name: they make environments, or take long.
OPTIONAL = ("peers", "training", "forgetting", "intervals", "lm_eval")


def main() -> None:
    for name in sys.argv[1:] or NAMES:
        if name not in (*NAMES, *OPTIONAL):
            sys.exit(f"benchmarks: no {name!r}; known: {', '.join((*NAMES, *OPTIONAL))}")
        print(f"== {name}", flush=True)
        import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
