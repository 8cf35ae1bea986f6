"""Small doubles of NeuSight's and vidur's files, in their layouts."""

from itertools import product

import polars as pl

PRODUCTS = [(1, 64, 256, 512), (4, 512, 64, 96)]
VECTORS = [(128, 768), (4096, 1024)]
GPUS = ("Tesla P100-PCIE-16GB", "NVIDIA A100-PCIE-40GB")
LAUNCH = {"kernel_name": "sgemm", "cudnn_version": 8902, "cuda_version": "cu121", "grid_x": 1, "block_z": 1}


def neusight_rows():
    """Rows of `neusight_ops.parquet`: each operator on two GPUs, each with a time of its own."""
    rows = [
        (op, gpu, part, *shape, None)
        for op, gpu, part, shape in product(("linear", "bmm"), GPUS, ("train", "test"), PRODUCTS)
    ]
    rows += [
        (op, gpu, "train", batch, None, None, None, hidden)
        for op, gpu, (batch, hidden) in product(("ln", "softmax", "add", "addu", "gelu"), GPUS, VECTORS)
    ]
    columns = ["op", "device", "split", "B", "M", "N", "K", "H"]
    table = pl.DataFrame(rows, schema=columns, orient="row", infer_schema_length=None)
    # The test rows are measured anew, a little apart.
    apart = pl.when(pl.col("split") == "test").then(1.02).otherwise(1.0)
    order = pl.struct("op", "device", "B").rank("dense")
    return table.with_columns(latency_ms=apart * (0.05 + order * 0.013), torch_version=pl.lit("p2.1.0"))


def neusight_one_file(path):
    path.mkdir(parents=True, exist_ok=True)
    rows = neusight_rows().with_columns(pl.lit(value).alias(name) for name, value in LAUNCH.items())
    rows.cast({pl.String: pl.Categorical, "latency_ms": pl.Float32}).write_parquet(
        path / "neusight_ops.parquet"
    )
    return path


def neusight_repository(path):
    """The layout of the repository, with convolutions."""
    renamed = {"op": "OPName", "latency_ms": "Latency", "device": "Device", "torch_version": "Torch Version"}
    rows = (
        neusight_rows().rename(renamed).with_columns(**{"Kernel Name": pl.lit("a, b"), "Grid x": pl.lit(3)})
    )
    names = {"linear": "linear", "bmm": "bmm"}
    for (part, name), table in (
        rows.with_columns(name=pl.col("OPName").replace_strict(names, default="vec"))
        .partition_by("split", "name", as_dict=True)
        .items()
    ):
        folder = path / "scripts/asplos/data/dataset" / part
        folder.mkdir(parents=True, exist_ok=True)
        unused = ["H"] if name in names else ["M", "N", "K"]
        table.drop("split", "name", *unused).write_csv(folder / f"{name}.csv")
    folder = path / "scripts/asplos/data/dataset/train/collect/conv/p2.1.0"
    folder.mkdir(parents=True)
    convolution().write_csv(folder / "Tesla T4.csv")
    return path


def convolution():
    """One convolution; the misspelt column is the repository's."""
    return pl.DataFrame(
        {
            "OPName": "conv", "Latency": 2.7, "Device": "Tesla T4", "Torch Version": "p2.1.0", "B": 38,
            "Input_Channel": 893, "Output_Channel": 326, "Kernel_Szie": 3, "Input_Size": 5, "Stride": 1,
            "Padding": 1,
        }
    )  # fmt: skip


STEPS = (
    "emb", "input_layernorm", "attn_pre_proj", "attn_rope", "attn_post_proj", "post_attention_layernorm",
    "mlp_up_proj", "mlp_act", "mlp_down_proj", "add",
)  # fmt: skip
LLAMA = {
    "n_head": 32, "n_kv_head": 8, "n_embd": 4096, "n_expanded_embd": 14336, "vocab_size": 128256,
    "use_gated_mlp": True,
}  # fmt: skip
PHI = {
    "n_head": 32, "n_kv_head": 32, "n_embd": 2560, "n_expanded_embd": 10240, "vocab_size": 51200,
    "use_gated_mlp": False,
}  # fmt: skip


def vidur_layers(model, norms=2):
    """Times of one model in ms by tokens and workers, in steps of a microsecond."""
    runs = pl.DataFrame(
        list(product((1, 128, 4096), (1, 2))),
        schema=["num_tokens", "num_tensor_parallel_workers"],
        orient="row",
    )
    size = pl.col("num_tokens") * 1e-3 + 0.01
    times = {
        f"time_stats.{step}.{statistic}": (size * (number + 1)).round(3)
        for number, step in enumerate(STEPS)
        for statistic in ("min", "max", "mean", "median", "std")
        if norms == 2 or step != "post_attention_layernorm"
    }
    return runs.with_columns(**times, **{name: pl.lit(value) for name, value in model.items()})


def vidur_network_rows():
    """Collectives on one machine and on two, and what is no collective here."""
    rows = [
        ("all_reduce", 2, 2), ("all_reduce", 8, 8), ("all_reduce", 16, 8), ("send_recv", 2, 2),
        ("send_recv", 2, 1),
    ]  # fmt: skip
    table = pl.DataFrame(rows, schema=["collective", "num_workers", "devices_per_node"], orient="row")
    sized = table.join(pl.DataFrame({"size": [2048, 1048576]}), how="cross")
    ms = 0.03 + pl.int_range(pl.len()) * 0.011
    return sized.with_columns(median=ms.round(3), rank=pl.lit(0), max_devices_per_node=pl.lit(8))


def vidur_one_file(path):
    path.mkdir(parents=True, exist_ok=True)
    layers = [
        vidur_layers(LLAMA).with_columns(device=pl.lit("a100"), model=pl.lit("Meta-Llama-3-8B")),
        vidur_layers(PHI, norms=1).with_columns(device=pl.lit("h100"), model=pl.lit("phi-2")),
    ]
    rows = pl.concat(layers, how="diagonal")
    rows.cast({pl.Float64: pl.Float32, pl.String: pl.Categorical}).write_parquet(path / "vidur_mlp.parquet")
    network = vidur_network_rows().rename({"median": "t_median"})
    network.with_columns(network_device=pl.lit("a100_dgx")).write_parquet(path / "vidur_network.parquet")
    return path


def vidur_repository(path):
    """The layout of the repository."""
    published = {
        "a100/meta-llama/Meta-Llama-3-8B": vidur_layers(LLAMA),
        "h100/microsoft/phi-2": vidur_layers(PHI, norms=1),
    }
    for name, table in published.items():
        folder = path / "data/profiling/compute" / name
        folder.mkdir(parents=True, exist_ok=True)
        table.write_csv(folder / "mlp.csv")
    folder = path / "data/profiling/network/a100_dgx"
    folder.mkdir(parents=True)
    for (collective,), table in vidur_network_rows().partition_by("collective", as_dict=True).items():
        median = {"median": f"time_stats.{collective}.median"}
        table.rename(median).with_row_index("").write_csv(folder / f"{collective}.csv")
    return path
