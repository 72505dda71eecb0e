"""Second: does it say what nothing else says, and nothing that is to be kept apart?"""
