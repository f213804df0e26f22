"""The classes of ``reading.chunks``, by the names that they have in savepoints of version 0.1.

A savepoint holds the planner of files as a pickle, which names the module of each class.
"""

from reading.chunks import Chunk, File, Plan

__all__ = ["Chunk", "File", "Plan"]
