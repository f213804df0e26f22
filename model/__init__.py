"""Plain Python that can be tested without Beam: rows, statistics, learners, artefacts, metrics."""
