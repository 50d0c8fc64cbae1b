"""From an encoder to numbers: features once, probes on them, retrieval, intervals, chance."""
