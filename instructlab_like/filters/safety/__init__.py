"""Fourth: does it hold a secret, a person's data, an injected command, or what nobody should learn?"""
