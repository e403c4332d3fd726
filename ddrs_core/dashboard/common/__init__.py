"""What several pages use: loaded models, the choice of a model, speeds, downloads."""
