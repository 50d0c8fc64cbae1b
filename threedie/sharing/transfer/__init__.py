"""Data sets over the network: download and publish."""
