"""A client among broken brokers, broken networks, and broken parts of itself."""
