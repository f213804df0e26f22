"""The peers: other ways to the same work, each written as its own documentation would write it.

``PEERS`` says what of a peer is measured. What is slow gets fewer rows, and smaller windows where
two of the usual ones would take it over 20 seconds. The plain loop over the same file and the same
windows says what must come out (``benchmarks.peers.run.check``); where it takes no time worth
measuring, the peer's rate stands beside the loop's rate over the files of its own size.
"""

from __future__ import annotations

from typing import NamedTuple


class Sizes(NamedTuple):
    """What a peer is measured on; all are rows.

    Attributes:
        window: of a window.
        small: of the small file, two windows or more, so that some are scored.
        large: of the large file; what it takes more is the added work.
    """

    window: int
    small: int
    large: int


class Peer(NamedTuple):
    """A peer.

    Attributes:
        script: the module in ``benchmarks.peers``.
        sizes: for each learner.
        same_model: whether it fits the plain loop's own models, so that its MAE must be theirs.
        cut: whether its rows lie in a file a window, as a folder fills up; else in one file.
    """

    script: str
    sizes: dict[str, Sizes]
    same_model: bool = True
    cut: bool = False


WHOLE_WINDOWS = {
    "ridge": Sizes(100_000, 500_000, 4_000_000),
    "forest": Sizes(10_000, 20_000, 200_000),
}
"""Of the peers that take a window at a time."""
PEERS = {
    "Bytewax": Peer("with_bytewax", WHOLE_WINDOWS),
    "Spark foreachBatch": Peer("with_spark", WHOLE_WINDOWS, cut=True),
    "Spark, all at once": Peer("with_spark", WHOLE_WINDOWS),
    "River": Peer(
        "with_river",
        {
            "ridge": Sizes(100_000, 200_000, 1_200_000),
            "forest": Sizes(2_000, 4_000, 10_000),
        },
        same_model=False,
    ),
    "row-by-row Beam": Peer(
        "with_rows_of_beam",
        {
            "ridge": Sizes(10_000, 20_000, 50_000),
            "forest": Sizes(1_000, 2_000, 4_000),
        },
    ),
    "HTTP, one row a call": Peer(
        "with_http",
        {
            "ridge": Sizes(1_000, 2_000, 8_000),
            "forest": Sizes(1_000, 2_000, 4_000),
        },
    ),
}
