"""Sparse images -> datasets."""


rule dataset:
    """Select and split the images of a dataset by event, and describe them on a card."""
    input:
        shards=dataset_shards,
    output:
        split=paths.dataset_file("split.npz"),
        card=paths.dataset_file("card.json"),
        page=paths.dataset_file("card.html"),
    log:
        paths.log(paths.dataset_file("split.npz"), "dataset"),
    threads: resource("dataset", "threads")
    resources:
        **job_resources("dataset"),
    params:
        settings=settings("dataset"),
    shell:
        "snpoint dataset {input.shards:q} --settings {params.settings:q} --split {output.split:q}"
        " --card {output.card:q} --page {output.page:q} --log {log:q}"
