"""Passwords and tokens: made at random, kept as hashes only."""

import contextlib
import hashlib
import os
import secrets
from functools import cache
from pathlib import Path

import argon2

#: So that a leaked token is recognised as one of ours.
TOKEN_PREFIX = "byt_"  # noqa: S105 (a prefix, no secret)


def new_token() -> str:
    """A token of 256 random bits, to be shown once."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def new_password() -> str:
    """A password of 96 random bits that can be read aloud."""
    return secrets.token_hex(12)


def new_secret() -> str:
    """A secret of 192 random bits for a program's settings."""
    return secrets.token_urlsafe(24)


def write_secret(path: Path, secret: str) -> None:
    """Keep a secret in a file that its owner alone can read; the old one is there until the new one is whole."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secret + "\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()


def hash_token(token: str) -> str:
    """What the datastore keeps of a token; it is random enough for a plain hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def hash_password(password: str) -> str:
    """The argon2id hash of a password, parameters and salt in it."""
    return argon2.PasswordHasher().hash(password)


def verify_password(stored: str | None, password: str) -> bool:
    """Whether the password is the one that was hashed; takes as long where there is none stored."""
    try:
        return argon2.PasswordHasher().verify(stored or _nobody(), password) and stored is not None
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


@cache
def _nobody() -> str:
    return hash_password(new_password())
