"""The stages of a run, in order: check, generate, train, evaluate, report. Each reads what the one before wrote."""
