"""A lab on one host: made, started, looked after and stopped as one."""
