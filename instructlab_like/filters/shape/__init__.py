"""First: is it a well-formed question with a well-formed answer?"""
