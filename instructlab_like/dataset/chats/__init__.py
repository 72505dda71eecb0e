"""What formats of other trainers have in common: which conversations are in which file, and the card beside them."""
