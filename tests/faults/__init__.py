"""What a run survives: kills at every file operation, power cuts, full disks, dying workers."""
