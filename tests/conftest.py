"""What all tests share: one torch thread, no hub, no user cache."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("ilk", deadline=None, derandomize=True)  # busy machines; the same examples every time
settings.load_profile("ilk")
os.environ.update(
    {
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "NO_COLOR": "1",
    }
)
