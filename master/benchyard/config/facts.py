"""What the settings say, as the running master's parts are told it."""

from benchyard.config.settings import Host, Settings
from benchyard.hosting.facts import HostFacts, LabFacts
from benchyard.publish.service import PublishFacts


def lab_facts(settings: Settings) -> LabFacts:
    """What the settings say of the lab."""
    lab = settings.lab
    return LabFacts(
        directory=str(settings.directory),
        results=str(settings.results_dir),
        title=lab.title,
        url=lab.url,
        targets=tuple(settings.targets),
        hosts=tuple(_host_facts(name, host) for name, host in settings.hosts.items()),
        worker_port=lab.worker_port,
        anonymous_read=lab.anonymous_read,
        trash_days=lab.trash_days,
        keep_all_days=settings.retention.keep_all_days,
        prunes=settings.retention.automatic,
        worker_certificate=str(settings.directory / lab.worker_certificate) if lab.worker_certificate else "",
        own_playbooks=bool(lab.ansible),
    )


def publish_facts(settings: Settings) -> PublishFacts:
    """The same, as far as destinations need it."""
    return PublishFacts(
        secrets=str(settings.secrets_dir.absolute()),
        work=str(settings.publish_dir.absolute()),
        results=str(settings.results_dir.absolute()),
        url=settings.lab.url,
        title=settings.lab.title,
    )


def _host_facts(name: str, host: Host) -> HostFacts:
    fields = (field for field in HostFacts.__struct_fields__ if field != "name")
    return HostFacts(name=name, **{field: getattr(host, field) for field in fields})
