"""Trigger primitives -> clusters."""


rule cluster:
    """Cluster the TPs of one chunk, link the planes and find the main clusters."""
    input:
        tps=paths.chunk("match"),
        calibration=sample_calibration,
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
        "snpoint cluster {input.tps:q} --calibration={input.calibration:q} --settings {params.settings:q}"
        " -o {output.clusters:q} --log {log:q}"
