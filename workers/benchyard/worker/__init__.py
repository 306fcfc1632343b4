"""What the Buildbot worker of a host does otherwise than a stock one."""
