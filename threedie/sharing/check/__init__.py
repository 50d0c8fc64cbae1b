"""What no reader should be given of a shard, and what the hub would lose."""
