"""What this machine can do, and what would spoil its figures."""
