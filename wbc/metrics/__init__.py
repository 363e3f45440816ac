"""Numbers: how good, how calibrated, how sure of it."""
