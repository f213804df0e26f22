"""The job's wiring and its command line: settings, graph, runners, run folder, reports, server."""

__version__ = "0.1.0"
