"""Networks applied to datasets they were not trained on."""


rule predict:
    """Apply one version to a dataset, with or without truth."""
    input:
        dataset=predicted_split,
        model=paths.version_file("train", "model.keras"),
        training=paths.version_file("train", "training.json"),
    output:
        predictions=paths.predictions(),
    log:
        paths.log(paths.predictions(), "predict"),
    threads: resource("predict", "threads")
    resources:
        **job_resources("predict"),
    params:
        settings=settings("predict"),
    shell:
        "snpoint predict --settings {params.settings:q} --dataset {input.dataset:q} --model {input.model:q}"
        " --training {input.training:q} --predictions {output.predictions:q} --log {log:q}"
