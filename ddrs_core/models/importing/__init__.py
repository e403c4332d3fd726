"""Reading other people's checkpoints."""
