"""Wiring and people: settings, the graph, runners, the run folder, the command line."""
