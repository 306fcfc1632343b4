"""Pictures of results: comparisons, distributions and series, as SVG and PNG; one module for each."""
