"""Codecs alone: speed and ratio, in tables and charts."""
