"""Training a method: settings, loop, checkpoints, ranks, online probes."""
