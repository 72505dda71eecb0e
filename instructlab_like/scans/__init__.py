"""What a text gives away: personal data and secrets, found by their shapes and by the words around them (pure).

`ilk check` tells of them in leaves, the safety filters take samples out for them, and both find the same.
"""
