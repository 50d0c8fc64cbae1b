"""Other people's pictures into shards, and shards into the published layout."""
