"""Results on their way out of the lab: what may leave, where to, and how it arrives once."""
