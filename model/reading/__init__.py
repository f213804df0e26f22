"""Reading files: a plan of chunks whose least event times are known, then chunk by chunk.

A glob on any Beam file system goes in; raw batches (``model.batch``) come out. ``plan`` looks at
every file once before anything runs: it numbers the rows, cuts the files into chunks, and finds
each chunk's least event time (Parquet: from the row groups' statistics where they are there;
else one scan). ``read`` gives a chunk's rows, the same ones on every call. Neither holds a whole
file in memory.

* CSV (``.csv``): a header row, RFC 4180 quotes, UTF-8; a chunk is a block of whole rows.
* NDJSON (``.ndjson``, ``.jsonl``, ``.json``): a JSON object a line; a chunk is a block of lines.
* Parquet (``.parquet``, ``.pq``): a chunk is a row group.

CSV and NDJSON may be compressed (``.gz``, ``.bz2``, ``.zst``): such a file is one chunk.
"""

from model.reading.chunks import Chunk, File, Plan
from model.reading.plans import plan, read

__all__ = ["Chunk", "File", "Plan", "plan", "read"]
