"""Data sets that come and go.

transfer   download and publish, over http(s), s3, gs, hf
convert    the published layout into shards, and back
card       what is published with the shards
check      what no reader should be given, and what a hub would lose
"""
