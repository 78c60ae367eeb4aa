"""Datasets -> networks."""


rule train:
    """Train the network of one version."""
    input:
        dataset=version_split,
    output:
        model=paths.version_file("train", "model.keras"),
        history=paths.version_file("train", "history.csv"),
        training=paths.version_file("train", "training.json"),
    log:
        paths.log(paths.version_file("train", "model.keras"), "train"),
    threads: resource("train", "threads")
    resources:
        **job_resources("train"),
    params:
        settings=settings("train"),
    shell:
        "snpoint train --settings {params.settings:q} --dataset {input.dataset:q} --model {output.model:q}"
        " --history {output.history:q} --training {output.training:q} --log {log:q}"
