"""Held-out items as tasks of lm-evaluation-harness, and the code that stands beside them."""
