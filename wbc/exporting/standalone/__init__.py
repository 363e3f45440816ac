"""What an exported folder runs; copied into it with what it imports, so without torch or pandas."""
