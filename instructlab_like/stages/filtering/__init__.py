"""Samples to verdicts: the recipe's filters over a run or a file, with judges asked on their behalf."""
