"""Results to a git repository: files in their layout, tables of them, and a branch that others push to as well."""
