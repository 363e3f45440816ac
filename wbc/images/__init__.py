"""One picture: decoded, its cell found, brought to a standard, measured."""
