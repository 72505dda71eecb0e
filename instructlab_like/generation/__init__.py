"""Leaves and chunks to samples: plan, call, parse, the ledger between them, and the two methods without a model."""
