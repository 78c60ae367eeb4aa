"""Simulated samples."""


rule simulate:
    """Simulate one chunk of interactions and backgrounds and write their TPs as TPStream ROOT."""
    output:
        tpstream=paths.chunk("simulate"),
    log:
        paths.log(paths.chunk("simulate"), "simulate"),
    threads: resource("simulate", "threads")
    resources:
        **job_resources("simulate"),
    params:
        settings=settings("simulate"),
    shell:
        "snpoint simulate --settings {params.settings:q} --sample {wildcards.sample:q} --chunk {wildcards.chunk:q}"
        " --tpstream {output.tpstream:q} --log {log:q}"
