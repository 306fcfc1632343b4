"""All operations of the REST interface."""

from benchyard.web.calls import Route
from benchyard.web.comparing import ROUTES as COMPARING
from benchyard.web.events import ROUTES as EVENTS
from benchyard.web.hosts import ROUTES as HOSTS
from benchyard.web.jobs import ROUTES as JOBS
from benchyard.web.lab import ROUTES as LAB
from benchyard.web.queues import ROUTES as QUEUES
from benchyard.web.results import ROUTES as RESULTS
from benchyard.web.tokens import ROUTES as TOKENS
from benchyard.web.users import ROUTES as USERS

ROUTES: tuple[Route, ...] = (*JOBS, *QUEUES, *COMPARING, *RESULTS, *HOSTS, *USERS, *TOKENS, *EVENTS, *LAB)
