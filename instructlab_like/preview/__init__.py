"""What a change to leaves would do: its samples, its cost, what it repeats, how it shifts the mix."""
