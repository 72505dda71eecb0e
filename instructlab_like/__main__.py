"""`python -m instructlab_like` is `ilk`."""

from instructlab_like.cli import main

main()
