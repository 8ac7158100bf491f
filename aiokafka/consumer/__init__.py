"""The consumer of records."""
