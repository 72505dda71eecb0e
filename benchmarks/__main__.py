"""Run every benchmark and print its table: `python -m benchmarks [NAME …]`, or one with options of its own."""

from __future__ import annotations

import sys
from importlib import import_module

NAMES = (
    *("start_up", "reading", "conformance", "large_tree", "corpus", "repositories"),
    *("engine", "whole_stage", "lineage", "packing", "leaf_loss", "training_memory"),
    *("planted_truth", "filters", "copies", "novelty", "personal_data"),
)
# Asked for by name: they make environments, or take long.
OPTIONAL = ("peers", "training", "gpu_lora", "forgetting", "classify", "rewrite", "intervals", "lm_eval")


def main() -> None:
    words = sys.argv[1:]
    own = next((place for place, word in enumerate(words) if word.startswith("-")), len(words))
    if own < len(words) and own != 1:
        sys.exit("benchmarks: options belong to one benchmark, named before them")
    for name in words[:own] or NAMES:
        if name not in (*NAMES, *OPTIONAL):
            sys.exit(f"benchmarks: no {name!r}; known: {', '.join((*NAMES, *OPTIONAL))}")
        print(f"== {name}", flush=True)
        import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
