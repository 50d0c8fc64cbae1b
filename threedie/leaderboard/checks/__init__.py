"""Everything for which a board refuses an entry, and what it finds remarkable."""
