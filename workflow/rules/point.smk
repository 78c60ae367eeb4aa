"""Predictions and likelihood tables -> sky maps."""


rule point:
    """Turn a burst into a log-likelihood over the sky."""
    input:
        predictions=pointing_predictions,
        likelihood=pointing_likelihood,
    output:
        sky=paths.point_file("sky.fits"),
        pointing=paths.point_file("pointing.json"),
        skymap=paths.point_file("skymap.png"),
    log:
        paths.log(paths.point_file("pointing.json"), "point"),
    threads: resource("point", "threads")
    resources:
        **job_resources("point"),
    params:
        settings=settings("point"),
    shell:
        "snpoint point --settings {params.settings:q} --predictions {input.predictions:q}"
        " --likelihood {input.likelihood:q} --sky {output.sky:q} --pointing {output.pointing:q}"
        " --skymap {output.skymap:q} --log {log:q}"
