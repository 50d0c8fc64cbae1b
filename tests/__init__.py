"""The tests mirror the packages; each file's docstring lists the claims that it proves."""
