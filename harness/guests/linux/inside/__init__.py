"""What runs inside the guest: ``init`` first, which starts the heart and a workload's script, and what those scripts use.

The guest's own Python (Debian's python3-minimal) runs these modules: they import nothing but its standard library and each other.
"""
