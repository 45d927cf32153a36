"""Training and inference on any backend, checkpoints and run folders."""
