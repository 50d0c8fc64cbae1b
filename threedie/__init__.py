"""threedie: render 3DIEBench into shards, and benchmark invariance and equivariance on it."""

__version__ = "0.1.0"
