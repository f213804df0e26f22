"""Thin Beam adapters around the plain Python of model, one idea a file."""
