"""Entries that anybody can check, numbers that only the verifier writes, and the pages of both."""
