"""Seeded guest memory of known kinds, the same bytes on every host."""
