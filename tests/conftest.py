"""What all tests share: one torch thread, no hub, a cache of their own."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

from hypothesis import settings

settings.register_profile("ilk", deadline=None, derandomize=True)  # busy machines; the same examples every time
settings.load_profile("ilk")
_cache = tempfile.mkdtemp(prefix="ilk-tests-")
atexit.register(shutil.rmtree, _cache, ignore_errors=True)
os.environ.update(
    {
        "ILK_CACHE": _cache,
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "NO_COLOR": "1",
    }
)
