"""Many scenarios on many pairs of hosts: cells as tasks of dask.distributed, one worker a pair. The only room that knows dask."""
