"""The datastore: tables in Buildbot's own database, numbered migrations, functions that return frozen rows.

Every function takes an open SQLAlchemy `Connection` that is already in a transaction; the caller commits.
Buildbot runs its callable again when SQLite is locked, so a function keeps no state outside the transaction.
Time (`now`, epoch seconds, UTC) and the author (`who`) are arguments, never looked up here.
"""
