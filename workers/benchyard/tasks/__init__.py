"""What runs on a measuring host, and for people without a lab: inspect, select, measure, and the durable
runner.

Import the module you need (`benchyard.tasks.benchmarks`, `benchyard.tasks.runner`, ...): nothing is loaded
here, so that a supervisor on a measuring host stays small.
"""
