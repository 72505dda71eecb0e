"""How large the files of a tree may be."""

LARGEST_FILE = 1_000_000  # bytes of a leaf's own file
LARGEST_DOCUMENT = 10_000_000  # bytes of a document, beside a leaf or in a repository
