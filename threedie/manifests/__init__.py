"""What exists and what was made: classes, latents, recipes, splits, data set manifests."""
