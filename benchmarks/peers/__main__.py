"""The comparison with options: `python -m benchmarks.peers --help`."""

import sys

from benchmarks.peers.report import main

main(sys.argv[1:])
