"""The lab's hosts: how they join it, and what they are doing."""
