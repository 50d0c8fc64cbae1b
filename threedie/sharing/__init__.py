"""Sharing data sets: what goes with the shards when they are published, and what a hub loses.

terms         the licence that a set's origin leaves
overview      what card, citation and metadata say of a set, gathered once
escape        foreign text in YAML and Markdown
card          the dataset card README.md; card_header: its YAML
citation      CITATION.cff
croissant     croissant.json; croissant_records: its record sets
tables        the Parquet tables of all views and of all objects
accompany     all of these, by file name
check         `3die check`: tar_walk reads any tar, samples compares what is in it
"""
