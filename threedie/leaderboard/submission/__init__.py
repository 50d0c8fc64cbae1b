"""From runs to an entry, and to a branch of a board's repository."""
