"""A dataset to an adapter, and what the machine must have for it."""
