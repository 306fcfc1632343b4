"""Results to GitHub, as statuses of commits and comments at pull requests."""
