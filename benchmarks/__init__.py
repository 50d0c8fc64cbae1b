"""Scripts that measure; they print tables and never fail a build."""
