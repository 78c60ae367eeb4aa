"""Networks -> predictions and metrics."""


rule evaluate:
    """Predict val, calib and test with one version; measure on test."""
    input:
        dataset=version_split,
        model=paths.version_file("train", "model.keras"),
        training=paths.version_file("train", "training.json"),
        history=paths.version_file("train", "history.csv"),
    output:
        predictions=paths.version_file("evaluate", "predictions.npz"),
        metrics=paths.version_file("evaluate", "metrics.json"),
        report=paths.version_file("evaluate", "report.pdf"),
    log:
        paths.log(paths.version_file("evaluate", "metrics.json"), "evaluate"),
    threads: resource("evaluate", "threads")
    resources:
        **job_resources("evaluate"),
    params:
        settings=settings("evaluate"),
    shell:
        "snpoint evaluate --settings {params.settings:q} --dataset {input.dataset:q} --model {input.model:q}"
        " --training {input.training:q} --history {input.history:q} --predictions {output.predictions:q}"
        " --metrics {output.metrics:q} --report {output.report:q} --log {log:q}"
