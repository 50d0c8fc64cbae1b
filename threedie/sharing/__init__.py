"""Data sets that come and go: converted, exported, downloaded, published."""
