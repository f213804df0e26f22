"""Reading files: a plan of chunks whose least event times are known, then chunk by chunk.

A glob on any Beam file system goes in; raw batches (``model.batch``) come out. ``plan`` looks at
every file once before anything runs: it numbers the rows, cuts the files into chunks, and finds
each chunk's least event time (Parquet: from the row groups' statistics where they are there;
else one scan). ``read`` gives a chunk's rows, the same ones on every call. Neither holds a whole
file in memory.

* CSV (``.csv``, ``.tsv``): a header row, then rows; a chunk is a block of whole rows.
* JSON (``.ndjson``, ``.jsonl``, ``.json``): an object a line, an array of objects, or objects one
  after the other; a chunk is a block of whole objects.
* ``.txt``: CSV or JSON, by its first character.
* Parquet (``.parquet``, ``.pq``): a chunk is a row group.

CSV and JSON may be compressed (``.gz``, ``.bz2``, ``.xz``, ``.zst``, ``.zip``), or in another
encoding than UTF-8: such a file is one chunk. ``docs/inputs.md`` says what is read, and how.
"""

from reading.chunks import Chunk, File, Plan
from reading.plans import plan, read

__all__ = ["Chunk", "File", "Plan", "plan", "read"]
