"""The stages of a run, in order: check, generate, train, evaluate, report. Each reads what the one before wrote.

One room for each kind of work; beside them what all of them need of a run and of the tree.
"""
