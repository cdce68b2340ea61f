"""The training loop, its checkpoints and what it does periodically."""
