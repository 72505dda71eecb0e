"""This project beside its peers: the same two steps, the same server, one machine, a bare loop as the floor."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tests"))  # the test server imports its parts by their bare names

from benchmarks.peers.report import main as main
