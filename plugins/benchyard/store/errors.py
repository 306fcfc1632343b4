"""What can go wrong with the datastore.

StoreError
 |- NotFound       no such row: answer 404, or make it
 |- BadPosition    a place in a queue that there is not: answer 400
 |- Unclear        a name that could mean several things: answer 400, name one of them
 |- Conflict       the change contradicts what is stored: answer 409, read again
 |   |- Stale      it was changed since the caller read it: answer 412, read again
 |- SchemaTooNew   the database was migrated by a newer benchyard: upgrade the code, or restore the backup
"""


class StoreError(Exception):
    """The datastore refused something; the message is one line for people."""


class NotFound(StoreError):
    """There is no row with this id or name."""


class Conflict(StoreError):
    """The change contradicts what is stored already."""


class Stale(Conflict):
    """Somebody has changed it since the caller read it."""


class BadPosition(StoreError):
    """There is no such position in the queue, or it is no position at all."""


class Unclear(StoreError):
    """A name could mean several things; the message names them."""


class SchemaTooNew(StoreError):
    """The database's schema is newer than this code knows."""

    def __init__(self, found: str, known: str) -> None:
        self.found = found
        self.known = known
        super().__init__(
            f"the database has benchyard schema {found}, this benchyard knows schemas up to {known} only: "
            "install the newer benchyard, or restore the backup made before the upgrade"
        )
