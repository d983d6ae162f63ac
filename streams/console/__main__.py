"""`python -m streams.console`: the same as the `stepwatch` command; what the local stack starts its parts with."""

from streams.console.main import main

main()
