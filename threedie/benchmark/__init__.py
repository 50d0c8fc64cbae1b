"""Training and evaluating on 3DIEBench: shards -> pairs -> method -> frozen features -> numbers."""
