"""The measuring host itself: its knobs are tuned for a measurement and put back afterwards.

Import the module you need (`benchyard.tasks.host.tuning`, ...): nothing is loaded here.
"""
