"""Users, their passwords and tokens, and what each role may do."""
