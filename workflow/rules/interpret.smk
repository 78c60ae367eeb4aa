"""Networks -> what they use."""


rule interpret:
    """Ablate the planes of one version's test images."""
    input:
        dataset=version_split,
        model=paths.version_file("train", "model.keras"),
        training=paths.version_file("train", "training.json"),
    output:
        attributions=paths.version_file("interpret", "attributions.npz"),
        interpretation=paths.version_file("interpret", "interpretation.json"),
        report=paths.version_file("interpret", "report.pdf"),
    log:
        paths.log(paths.version_file("interpret", "interpretation.json"), "interpret"),
    threads: resource("interpret", "threads")
    resources:
        **job_resources("interpret"),
    params:
        settings=settings("interpret"),
    shell:
        "snpoint interpret --settings {params.settings:q} --dataset {input.dataset:q} --model {input.model:q}"
        " --training {input.training:q} --attributions {output.attributions:q}"
        " --interpretation {output.interpretation:q} --report {output.report:q} --log {log:q}"
