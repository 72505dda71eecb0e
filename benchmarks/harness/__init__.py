"""What the processes of `python -m benchmarks lm_eval` run: one with this project, one with the harness."""
