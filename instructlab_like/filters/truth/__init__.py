"""Third: is the answer right, as far as passage, computation or a judge can tell?"""
