"""``snpoint fingerprint``: what a table of clusters holds, in two hashes."""

from __future__ import annotations

from pathlib import Path

import click

NEEDED = ("event", "plane", "channel", "time_start", "cluster_id", "accepted")


@click.command("fingerprint")
@click.argument("clusters", type=click.Path(path_type=Path))
def command(clusters: Path) -> None:
    """Print the fingerprints of CLUSTERS, a table of the cluster stage: of all clusters, and of the accepted ones.

    Every cluster is a line "event|plane|channel:time,channel:time,...": event number, plane U, V or X, and the global
    channel and start [clock ticks] of its TPs in ascending order. The fingerprint is the SHA-256 of the sorted lines.
    It depends neither on how clusters are numbered nor on the order of the TPs.
    """
    from snpoint.data.tables import CLUSTER_TABLE, iter_table
    from snpoint.physics.clustering_fingerprint import cluster_lines, fingerprint

    every: list[str] = []
    accepted: list[str] = []
    for part in iter_table(clusters, CLUSTER_TABLE, NEEDED):
        lines, passed = cluster_lines(part)
        every += lines
        accepted += [line for line, ok in zip(lines, passed, strict=True) if ok]
    click.echo(f"all {fingerprint(every)}")
    click.echo(f"accepted {fingerprint(accepted)}")
