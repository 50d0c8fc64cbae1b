"""Evaluating an encoder: frozen features, probes, retrieval, invariance, and their chance rows."""
