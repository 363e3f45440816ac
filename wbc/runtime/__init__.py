"""Engines under a network's forward pass: torch, or a converted copy that computes the same, faster."""
