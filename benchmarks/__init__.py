"""The job beside a plain loop over the same rows, in one run."""
