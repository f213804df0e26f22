"""A Flink cluster and Beam's job server on this machine, from the registries."""
