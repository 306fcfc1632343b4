"""Result files: reading, naming and keeping them, and comparing one with another."""
