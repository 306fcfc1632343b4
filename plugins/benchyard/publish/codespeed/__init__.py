"""Results to a codespeed: what it is told, how, and what its answers mean."""
