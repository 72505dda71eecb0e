"""Documents as they were at the base: those that lay in a leaf's own folder."""

from __future__ import annotations

from instructlab_like.errors import InputError
from instructlab_like.records import Knowledge, blob_id
from instructlab_like.taxonomy import sources
from instructlab_like.taxonomy.documents import Document
from instructlab_like.taxonomy.past import Past
from instructlab_like.taxonomy.tree import LARGEST_DOCUMENT, OWN_FILES


def own_documents(before: Past, leaf: Knowledge) -> list[Document]:
    """The documents that lie in the leaf's own folder, as they were; raises InputError for one that cannot be read."""
    names = sorted(name for name in before.leaves.get(leaf.path, {}) if name not in OWN_FILES)
    picked = {name for pattern in leaf.source.patterns for name in sources.matching(names, pattern)}
    found = []
    for name in sorted(picked):
        data = before.data(leaf.path, name, largest=LARGEST_DOCUMENT) or b""
        path = f"{leaf.path}/{name}"
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError("is not UTF-8 text", where=path, fix="save it as UTF-8") from error
        found.append(Document(repo=sources.HERE, commit=sources.HEAD, path=path, blob=blob_id(data), data=data))
    return found
