"""The queue and the way of a job: what is asked, in which order, by whom, and what became of it."""
