# Nothing to do.
say ready
wait
