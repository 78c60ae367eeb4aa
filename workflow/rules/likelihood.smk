"""Predictions -> likelihood tables."""


rule likelihood:
    """Build P(cos theta | E) of one version from its calib split."""
    input:
        predictions=paths.version_file("evaluate", "predictions.npz"),
    output:
        likelihood=paths.version_file("likelihood", "likelihood.npz"),
        validation=paths.version_file("likelihood", "validation.json"),
    log:
        paths.log(paths.version_file("likelihood", "likelihood.npz"), "likelihood"),
    threads: resource("likelihood", "threads")
    resources:
        **job_resources("likelihood"),
    params:
        settings=settings("likelihood"),
    shell:
        "snpoint likelihood --settings {params.settings:q} --predictions {input.predictions:q}"
        " --likelihood {output.likelihood:q} --validation {output.validation:q} --log {log:q}"
