# A host's Buildbot worker. `buildbot-worker start` looks for the literal Application('buildbot-worker').
# What differs between hosts is in worker.toml beside this file; the password is in the file it names.
import os
import sys
import tomllib

from buildbot_worker.bot import Worker
from twisted.application import service
from twisted.internet.endpoints import quoteStringArgument
from twisted.python.log import FileLogObserver, ILogObserver
from twisted.python.logfile import LogFile

from benchyard.worker import transfers

basedir = os.path.abspath(os.path.dirname(__file__))
with open(os.path.join(basedir, "worker.toml"), "rb") as file:
    settings = tomllib.load(file)
with open(os.path.join(basedir, settings["secret_file"]), encoding="ascii") as file:
    secret = file.read().strip()

# The steps of the lab find here which Python has benchyard on this host, and where its state is.
os.environ["BENCHYARD_PYTHON"] = sys.executable
os.environ["BENCHYARD_STATE"] = os.path.abspath(os.path.join(basedir, settings["state_dir"]))

transfers.install()  # archives come and go only while this host does not measure

host, port, connection = settings["master_host"], settings["master_port"], None
if settings.get("tls_trust"):
    # The master's certificate is of a name, which at the end of a tunnel is not the address.
    trust = quoteStringArgument(os.path.abspath(os.path.join(basedir, settings["tls_trust"])))
    way = quoteStringArgument(f"tcp:{quoteStringArgument(host)}:{port}")
    name = quoteStringArgument(settings.get("tls_name") or host)
    connection = f"tls:{name}:{port}:trustRoots={trust}:endpoint={way}"
    host, port = None, None

application = service.Application('buildbot-worker')
log = LogFile.fromFullPath(os.path.join(basedir, "twistd.log"), rotateLength=10_000_000, maxRotatedFiles=5)
application.setComponent(ILogObserver, FileLogObserver(log).emit)
Worker(
    host,
    port,
    settings["name"],
    secret,
    basedir,
    connection_string=connection,
    keepalive=60,
    umask=0o027,
    maxdelay=30,
    allow_shutdown=False,
    delete_leftover_dirs=False,
).setServiceParent(application)
