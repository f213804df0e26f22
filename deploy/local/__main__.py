"""``python -m deploy.local up`` and ``down``; see ``make flink-up`` and ``make flink-down``."""

from __future__ import annotations

import sys

from deploy.local import cluster
from deploy.local.parameters import from_environment

if sys.argv[1:] == ["up"]:
    cluster.up(from_environment())
elif sys.argv[1:] == ["down"]:
    cluster.down()
else:
    sys.exit("usage: python -m deploy.local up | down")
