"""The deeper levels of verification: what is done again beyond the sums."""
