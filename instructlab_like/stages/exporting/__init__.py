"""Datasets and models on their way out, for other programs."""
