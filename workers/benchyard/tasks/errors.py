"""The errors of the tasks, one class per thing a caller can do about it.

TaskError
├── InterpreterError      name another interpreter
├── SelectionError        name other benchmarks
├── CpuListError          name other CPUs
├── OptionError           mend another option (metadata, environment variable, output file, time limit)
├── EnvironmentMakeError  mend the host: the benchmark environment could not be made
├── RunError              read the report: no benchmark gave a value
├── RunNameError          name the run otherwise
├── HostBusyError         come again later: the host is measuring
└── SupervisorError       mend the host: the supervisor of a run does not start or does not end
"""

from typing import Any


class TaskError(Exception):
    """A task could not be done; the message is one line that says what to do."""


class InterpreterError(TaskError):
    """The given path is not an interpreter that can be used."""


class SelectionError(TaskError):
    """A benchmark selection names something the suite does not have, or leaves nothing."""


class CpuListError(TaskError):
    """A list of CPUs is malformed or names CPUs this host does not have."""


class OptionError(TaskError):
    """An option of a task has a value that cannot be used."""


class EnvironmentMakeError(TaskError):
    """The environment that the benchmarks run in could not be made."""


class RunError(TaskError):
    """No benchmark of a run gave a value; `report` is the run's RunReport."""

    def __init__(self, message: str, report: Any = None) -> None:
        super().__init__(message)
        self.report = report


class RunNameError(TaskError):
    """A run has a name that may not become a directory."""


class HostBusyError(TaskError):
    """The lock of the host was not free within the time given."""


class SupervisorError(TaskError):
    """The supervisor of a run did not start, or did not end when told to."""
