"""Checkpoints to scores, by leaf, and what each leaf did."""
