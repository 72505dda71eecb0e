"""From kept samples to a dataset: split off the test questions, mix the two training phases, write it with its card."""
