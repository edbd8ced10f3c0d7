"""A fault at each phase of a migration, and a judge who believes neither side."""
