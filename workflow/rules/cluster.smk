"""Trigger primitives -> clusters."""


rule cluster:
    """Cluster the TPs of one chunk, find main clusters and link the planes."""
    input:
        tps=paths.chunk("match"),
    output:
        clusters=paths.chunk("cluster"),
    log:
        paths.log(paths.chunk("cluster"), "cluster"),
    threads: resource("cluster", "threads")
    resources:
        **job_resources("cluster"),
    params:
        settings=settings("cluster"),
    shell:
        "snpoint cluster --settings {params.settings:q} --tps {input.tps:q} --clusters {output.clusters:q} --log {log:q}"
