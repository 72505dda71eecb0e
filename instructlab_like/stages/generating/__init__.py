"""Leaves to samples: who is asked what, what comes back, and what it costs."""
