"""Command lines, backends, child processes, signals and where results come from."""
