"""Counting failed logins."""

from benchyard.access.failures import ALLOWED, WINDOW_S, FailedLogins


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def fail(failures: FailedLogins, times: int, address: str | None = "192.0.2.1", name: str | None = "ada") -> None:
    for _ in range(times):
        failures.note(address, name)


def test_ten_are_put_up_with() -> None:
    """Ten failures are a bad day, the eleventh is a guess: then name and address wait for the rest of the minute."""
    clock = Clock()
    failures = FailedLogins(clock)
    fail(failures, ALLOWED)
    assert failures.check("192.0.2.1", "ada") is None
    clock.now += 20
    fail(failures, 1)
    assert failures.check("192.0.2.1", "ada") == WINDOW_S - 20
    assert failures.check("192.0.2.1", "bob") == failures.check(None, "ada") == WINDOW_S - 20
    assert failures.check("192.0.2.2", "bob") is None
    assert failures.check("192.0.2.1", None) == WINDOW_S - 20
    clock.now += WINDOW_S - 20 - 0.5
    assert failures.check("192.0.2.1", "ada") == 1
    clock.now += 0.5
    assert failures.check("192.0.2.1", "ada") is None


def test_slow_failures() -> None:
    """Failures further apart than a minute allows are no guessing."""
    clock = Clock()
    failures = FailedLogins(clock)
    for _ in range(5 * ALLOWED):
        fail(failures, 1)
        assert failures.check("192.0.2.1", "ada") is None
        clock.now += WINDOW_S / ALLOWED


def test_name_and_address_are_different_things() -> None:
    """A user who is called like an address does not share its failures."""
    failures = FailedLogins(Clock())
    fail(failures, ALLOWED + 1, "192.0.2.1", None)
    assert failures.check(None, "192.0.2.1") is None


def test_forgotten_where_it_was_good() -> None:
    """A login that was counted before it was checked is taken back when it was good."""
    failures = FailedLogins(Clock())
    fail(failures, ALLOWED)
    fail(failures, 1)
    failures.forget("192.0.2.1", "ada")
    failures.forget("192.0.2.9", "nobody")
    assert failures.check("192.0.2.1", "ada") is None


def test_memory_is_bounded() -> None:
    """However many names are tried, so many are remembered, the latest ones; long names are cut."""
    failures = FailedLogins(Clock(), remembered=20)
    for number in range(1000):
        fail(failures, 1, "192.0.2.1", f"name {number}")
    fail(failures, ALLOWED + 1, None, "x" * 10_000)
    assert len(failures._failures) == 20
    assert max(len(key[1]) for key in failures._failures) == 100
    assert failures.check("192.0.2.1", None) is not None
    assert failures.check(None, "x" * 10_000) is not None
