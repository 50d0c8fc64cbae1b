"""The predictor of one run, looked at: what it does to the latent space, move by move."""
