"""Making the index of a lab's results anew, from the files alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchyard import daemon
from benchyard.config.settings import SettingsError, load_settings
from benchyard.hosting.reconciling import Lab, Reconciled, rebuild
from benchyard.lab.errors import LabError
from benchyard.lab.paths import LabPaths
from benchyard.store.errors import StoreError
from benchyard.store.migrate import migrate


def rebuild_index(root: Path, say: Callable[[str], object]) -> Reconciled:
    """Rebuild the index of the lab in `root`, which must be down; LabError says what stands in the way."""
    from buildbot.db.enginestrategy import create_engine

    paths = LabPaths(root.absolute())
    try:
        settings = load_settings(paths.root)
    except SettingsError as exc:
        raise LabError(str(exc)) from exc
    if daemon.running(paths.lock) is not None:
        raise LabError(f"the lab in {root} is running; stop it first with `benchyard lab down {root}`")
    engine = create_engine(settings.lab.db_url, basedir=str(paths.master))

    def transact(work: Callable[..., Any], *args: Any, **how: Any) -> Any:
        with engine.begin() as conn:
            return work(conn, *args, **how)

    try:
        migrate(engine)
        return rebuild(Lab(settings.results_dir, transact, tuple(settings.hosts), say=say))
    except StoreError as exc:
        raise LabError(str(exc)) from exc
    finally:
        engine.dispose()
