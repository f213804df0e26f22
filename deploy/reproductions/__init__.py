"""Smallest pipelines that show what is wrong in a runner, each with the link to its report."""
