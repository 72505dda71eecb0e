"""A leaf on its way into the tree: what is wrong with it, what it changes, what it would give and cost."""
