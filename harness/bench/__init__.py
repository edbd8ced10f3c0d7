"""Codecs alone, without a migration: speed and ratio on a guest's pages, each cell measured in turn with every other."""
