"""The stages of a target: what its builders are for besides the jobs themselves, and how these builders' names end."""

PREPARE, MEASURE = "prepare", "measure"
OF_JOBS = (PREPARE, MEASURE)

#: Those whose builds are whole jobs that look after hosts: in the master, and on the host itself.
MAINTAIN, CHECK = "maintain", "check"
OF_HOSTS = (MAINTAIN, CHECK)
