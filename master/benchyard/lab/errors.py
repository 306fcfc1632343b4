"""What can go wrong with a lab on this host."""


class LabError(Exception):
    """The lab could not be made, started or stopped; the message says why and what to do."""
