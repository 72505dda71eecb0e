"""The runs of a workspace: listed, joined, cleared of a leaf."""
