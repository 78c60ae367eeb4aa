"""Clusters -> sparse images."""


rule image:
    """Turn the clusters of one chunk into sparse images in the dataset's frame."""
    input:
        clusters=paths.chunk("cluster"),
        calibration=dataset_calibration,
    output:
        shard=paths.shard(),
    log:
        paths.log(paths.shard(), "image"),
    threads: resource("image", "threads")
    resources:
        **job_resources("image"),
    params:
        settings=settings("image"),
    shell:
        "snpoint image {input.clusters:q} --calibration={input.calibration:q} --settings {params.settings:q}"
        " -o {output.shard:q} --log {log:q}"
