"""MC truth -> trigger primitives."""


rule match:
    """Attach MC truth to the trigger primitives of one chunk."""
    input:
        tpstream=tpstream_files,
    output:
        tps=paths.chunk("match"),
    log:
        paths.log(paths.chunk("match"), "match"),
    threads: resource("match", "threads")
    resources:
        mem_mb=resource("match", "mem_mb"),
        disk_mb=resource("match", "disk_mb"),
        runtime=resource("match", "runtime"),
    params:
        settings=settings("match"),
    shell:
        "snpoint match {input.tpstream:q} --settings {params.settings:q} --tps {output.tps:q} --log {log:q}"
