"""What every page and service of wbc shares: who may ask, how much, and where it listens."""
