"""The shards on disk: their layout, the index, the readers, the checks, the gallery."""
