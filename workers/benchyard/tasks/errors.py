"""The errors of the tasks, one class per thing a caller can do about it.

TaskError
├── InterpreterError      name another interpreter
├── SelectionError        name other benchmarks
├── SuiteError            mend the suite's settings: it cannot be had, or its manifest is wrong
├── CpuListError          name other CPUs
├── OptionError           mend another option (metadata, environment variable, output file, time limit)
├── EnvironmentMakeError  mend the host: the benchmark environment could not be made
├── RecipeError           ask for another interpreter: a name, flag, address or patch that cannot be used
├── SourceError           look at the remote or the network: the source cannot be had
├── BuildError            read the log: the source does not build
├── ArchiveError          make the archive again: it is damaged, or there is no room for it
├── ProfilerError         install a profiler, or permit the one that is there
├── RunError              read the report: no benchmark gave a value
│   └── UnfitError        come again when the host is quiet, or mend it
├── RunNameError          name the run otherwise
├── HostBusyError         come again later: the host is measuring
├── TuningError           restore the host: its knobs were tuned before, or what they held cannot be kept
├── ShieldError           mend the host: its CPUs are still kept for a run that is over
├── SupervisorError       mend the host: the supervisor of a run does not start or does not end
└── AnsibleError          install Ansible, or name the folder that has the playbooks
"""

from typing import Any


class TaskError(Exception):
    """A task could not be done; the message is one line that says what to do."""


class InterpreterError(TaskError):
    """The given path is not an interpreter that can be used."""


class SelectionError(TaskError):
    """A benchmark selection names something the suite does not have, or leaves nothing."""


class SuiteError(TaskError):
    """A suite of benchmarks cannot be had, or its manifest cannot be read."""


class CpuListError(TaskError):
    """A list of CPUs is malformed or names CPUs this host does not have."""


class OptionError(TaskError):
    """An option of a task has a value that cannot be used."""


class EnvironmentMakeError(TaskError):
    """The environment that the benchmarks run in could not be made."""


class RecipeError(TaskError):
    """An interpreter is asked for in a way that cannot be used; `field` names the faulty part."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class SourceError(TaskError):
    """The source of an interpreter cannot be had: its remote is away, or does not have it."""


class BuildError(TaskError):
    """The source of an interpreter was had, and does not build."""


class ArchiveError(TaskError):
    """An archive is damaged, or cannot be made or kept."""


class ProfilerError(TaskError):
    """No profiler can look at the interpreter here."""


class RunError(TaskError):
    """No benchmark of a run gave a value; `report` is the run's RunReport."""

    def __init__(self, message: str, report: Any = None) -> None:
        super().__init__(message)
        self.report = report


class UnfitError(RunError):
    """The host is not fit to measure, by the report's guard; nothing was measured."""


class RunNameError(TaskError):
    """A run has a name that may not become a directory."""


class HostBusyError(TaskError):
    """The lock of the host was not free within the time given."""


class TuningError(TaskError):
    """The knobs of the host cannot be tuned or put back: an earlier tuning is in the way, or its journal is."""


class ShieldError(TaskError):
    """The measuring CPUs could not be given back to the rest of the host."""


class AnsibleError(TaskError):
    """Playbooks cannot be run here: Ansible is not installed, or there is no such playbook."""


class SupervisorError(TaskError):
    """The supervisor of a run did not start, or did not end when told to."""
