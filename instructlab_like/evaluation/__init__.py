"""What a model knows: held-out items, their answers, their scores, and what training changed, leaf by leaf."""
