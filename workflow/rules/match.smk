"""MC truth -> trigger primitives."""


rule match:
    """Attach MC truth to the trigger primitives of one chunk, and lay background events over it."""
    input:
        tpstream=tpstream_files,
        background=background_files,
    output:
        tps=paths.chunk("match"),
    log:
        paths.log(paths.chunk("match"), "match"),
    threads: resource("match", "threads")
    resources:
        **job_resources("match"),
    params:
        settings=settings("match"),
    shell:
        "snpoint match {input.tpstream:q} --background {input.background:q} --settings {params.settings:q}"
        " -o {output.tps:q} --log {log:q}"
