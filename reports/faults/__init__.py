"""A fault matrix as a page and as JUnit XML."""
