"""Sampler settings as a person reads, edits and keeps them."""
