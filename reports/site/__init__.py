"""Many results as a folder to publish, with an index."""
