"""What is kept of runs: documents, their statistics and words, and how files are saved whole. What reports read."""
