"""Certificates as pages, side by side, and as JUnit XML."""
