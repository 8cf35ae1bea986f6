import polars as pl
import pytest

from foretell.datasets.device import device
from foretell.datasets.sources.vidur import Vidur


@pytest.fixture(scope="module")
def batch(tmp_path_factory, published):
    return Vidur(published.vidur_one_file(tmp_path_factory.mktemp("one"))).read()


def shapes(batch, model, step, workers):
    origin = f"vidur/{model}/{step}/tp{workers}"
    return set(batch.rows.filter(origin=origin).select("n", "k").iter_rows())


@pytest.mark.parametrize(
    ("step", "one", "two"),
    [
        ("attn_pre_proj", (6144, 4096), (3072, 4096)),
        ("attn_post_proj", (4096, 4096), (4096, 2048)),
        ("mlp_up_proj", (28672, 4096), (14336, 4096)),
        ("mlp_down_proj", (4096, 14336), (4096, 7168)),
    ],
)
def test_projections_of_llama_3_8b_are_split_by_columns_then_rows(batch, step, one, two):
    """32 heads and 8 key-value heads of 128, a gated MLP of 14336."""
    assert shapes(batch, "Meta-Llama-3-8B", step, 1) == {one}
    assert shapes(batch, "Meta-Llama-3-8B", step, 2) == {two}


def test_mlp_without_a_gate_is_half_as_wide(batch):
    assert shapes(batch, "phi-2", "mlp_up_proj", 1) == {(10240, 2560)}
    assert shapes(batch, "phi-2", "attn_pre_proj", 1) == {(7680, 2560)}


def test_tokens_are_rows_of_the_product(batch):
    assert set(batch.rows.filter(operator="gemm")["m"]) == {1, 128, 4096}


def test_activations_are_functions_of_elements(batch):
    found = batch.rows.filter(operator="elementwise").select("device", "function").unique()
    # phi-2 joins attention and MLP by two additions at once, which is no operator here.
    assert set(found.iter_rows()) == {("a100_80", "silu_mul"), ("a100_80", "add"), ("h100", "gelu")}


def test_step_that_a_model_lacks_has_no_rows(batch):
    steps = batch.rows.filter(operator="layernorm", device="h100")["origin"].str.split("/").list.get(2)
    assert set(steps) == {"input_layernorm"}


def test_both_forms_give_the_same_rows(tmp_path, published, batch):
    each = Vidur(published.vidur_repository(tmp_path / "each")).read().rows
    key = ["operator", "origin", "m", "rows", "gpus", "message_bytes", "function"]
    one = batch.rows.sort(key)
    # float32 in the one file: a relative error of 2^-24, doubled for the product.
    assert one["latency_us"].to_list() == pytest.approx(each.sort(key)["latency_us"].to_list(), rel=2**-23)
    assert one.drop("latency_us").equals(each.sort(key).drop("latency_us"))


def test_collectives_over_machines_and_what_is_none_are_refused(batch):
    rules = batch.rejected.group_by("rule").len()
    # Two sizes each: all_reduce of 16 GPUs and send_recv of 2 over two machines, and send_recv within one.
    assert dict(rules.iter_rows()) == {"across_machines": 4, "collective|check": 2}


def test_wiring_of_a_machine_names_the_backend(batch):
    found = batch.rows.filter(operator="collective").select("device", "backend", "gpus").unique()
    assert set(found.iter_rows()) == {("a100_80", "nccl_dgx", 2), ("a100_80", "nccl_dgx", 8)}


def test_a_clock_of_whole_microseconds_is_noted(batch):
    assert {note.check for note in batch.notes} == {"coarse_clock"}


def test_real_projections_stay_below_the_peak_of_their_device(kernels_folder):
    """The shapes are derived: a wrong one would be too fast for its device, or far too slow."""
    rows = Vidur(kernels_folder / "vidur_mlp.parquet").read().rows.filter(operator="gemm")
    rate = (2.0 * pl.col("m") * pl.col("n") * pl.col("k") / pl.col("latency_us") * 1e6).max()
    for name, best in rows.group_by("device").agg(rate.alias("rate")).iter_rows():
        assert 0.8 < best / device(name).peak_flops("float16") < 1
