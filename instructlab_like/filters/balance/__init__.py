"""Last: how much of what is good is taken, of which kind?"""
