"""All operations of the REST interface."""

from benchyard.web.calls import Route
from benchyard.web.comparing import ROUTES as COMPARING
from benchyard.web.events import ROUTES as EVENTS
from benchyard.web.hosts import ROUTES as HOSTS
from benchyard.web.importing import ROUTES as IMPORTING
from benchyard.web.jobs import ROUTES as JOBS
from benchyard.web.lab import ROUTES as LAB
from benchyard.web.maintenance import ROUTES as MAINTENANCE
from benchyard.web.measurements import ROUTES as MEASUREMENTS
from benchyard.web.notices import ROUTES as NOTICES
from benchyard.web.pictures import ROUTES as PICTURES
from benchyard.web.pruning import ROUTES as PRUNING
from benchyard.web.queues import ROUTES as QUEUES
from benchyard.web.regressions import ROUTES as REGRESSIONS
from benchyard.web.results import ROUTES as RESULTS
from benchyard.web.series import ROUTES as SERIES
from benchyard.web.tokens import ROUTES as TOKENS
from benchyard.web.uploads import ROUTES as UPLOADS
from benchyard.web.users import ROUTES as USERS

ROUTES: tuple[Route, ...] = (
    *(*JOBS, *QUEUES, *COMPARING, *SERIES, *PICTURES, *IMPORTING, *PRUNING, *RESULTS, *MEASUREMENTS, *UPLOADS),
    *(*HOSTS, *MAINTENANCE, *USERS, *TOKENS, *NOTICES, *REGRESSIONS, *EVENTS, *LAB),
)
