"""Heat maps and the tests that they must pass."""
