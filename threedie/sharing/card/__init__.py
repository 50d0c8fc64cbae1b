"""What is published with the shards: card, citation, metadata, tables."""
