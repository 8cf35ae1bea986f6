"""aiconfigurator's attention, MoE, communication and power tables."""

import polars as pl
import pytest

from foretell.datasets.sources.aiconfigurator import Aiconfigurator

H100 = ("h100_sxm", "trtllm", "1.3.0rc20")
CONTEXT, GENERATION = "aic_ctx_attn_trtllm", "aic_gen_attn_trtllm"


@pytest.fixture
def read(tmp_path, published):
    """Rows and all of one table in a file of some name."""

    def write(table, name, place=H100):
        return Aiconfigurator(published.one_file(tmp_path, {place: table}, name)).read()

    return write


def test_prefill_attention_has_new_tokens_and_an_empty_cache(read, published):
    rows = read(published.attention_table("context"), CONTEXT).rows
    assert set(rows["phase"]) == {"context"}
    assert set(rows["new_tokens"]) == {64, 2048}
    assert set(rows["past_tokens"]) == {0}


def test_decode_attention_adds_one_token_to_a_cache(read, published):
    rows = read(published.attention_table("generation"), GENERATION).rows
    assert set(rows["phase"]) == {"generation"}
    assert set(rows["new_tokens"]) == {1}
    assert set(rows["past_tokens"]) == {64, 2048}


def test_attention_keeps_both_data_types_and_grouped_heads(read, published):
    rows = read(published.attention_table("context"), CONTEXT).rows
    assert set(rows.select("dtype", "kv_dtype").iter_rows()) == {
        ("bfloat16", "bfloat16"),
        ("bfloat16", "fp8"),
    }
    assert set(rows.select("heads", "kv_heads", "head_dim").iter_rows()) == {(8, 8, 128), (32, 4, 128)}


def test_window_beyond_the_sequence_is_stated_as_the_sequence_and_noted(read, published):
    table = published.attention_table("context")
    batch = read(table, CONTEXT)
    windows = set(batch.rows.select("new_tokens", "window").iter_rows())
    assert windows == {(64, 0), (64, 64), (2048, 0), (2048, 128)}
    beyond = table.filter(pl.col("window_size") > pl.col("isl") + pl.col("step")).height
    assert [note.evidence.split()[0] for note in batch.notes if note.check == "restated"] == [str(beyond)]


def test_table_without_windows_has_full_attention(read, published):
    table = published.attention_table("context").filter(pl.col("window_size") == 0).drop("window_size")
    assert set(read(table, CONTEXT).rows["window"]) == {0}


def test_beam_search_is_refused(read, published):
    table = published.attention_table("context")
    beams = pl.when(pl.int_range(pl.len()) == 3).then(4).otherwise(1)
    assert read(table.with_columns(beam_width=beams), CONTEXT).rejected["rule"].to_list() == ["beam_width"]


def test_mixture_of_experts_keeps_its_parallelism_and_skew(read, published):
    rows = read(published.moe_table(), "aic_moe_vllm").rows
    assert set(rows["dtype"]) == {"fp8_block", "w4a16_mxfp4"}
    assert set(rows.select("tp", "ep").iter_rows()) == {(1, 1), (1, 8), (2, 1), (2, 8)}
    shape = {"hidden": 2048, "inter": 768, "top_k": 8, "experts": 128, "distribution": "balanced"}
    assert rows.select(*shape).unique().to_dicts() == [shape]


def test_messages_are_counted_in_bytes(tmp_path, published):
    rows = Aiconfigurator(published.one_of_each(tmp_path)).read().rows.filter(operator="collective")
    bytes_of = {("float16", 512), ("float16", 2**30), ("int8", 256), ("int8", 2**29)}
    assert set(rows.select("dtype", "message_bytes").iter_rows()) == bytes_of
    assert set(rows["collective"]) == {"all_reduce", "all_to_all"}


def test_collectives_run_on_a_library_or_on_the_mode_of_an_engine(tmp_path, published):
    rows = Aiconfigurator(published.wheel(tmp_path)).read().rows.filter(operator="collective")
    assert set(rows.select("backend", "backend_version").iter_rows()) == {
        ("nccl", "2.29.2"),
        ("vllm_graph", "0.24.0"),
    }


def test_power_times_time_is_energy(tmp_path, published):
    rows = Aiconfigurator(published.one_of_each(tmp_path)).read().rows
    measured = rows.drop_nulls("power_w")
    assert set(measured.select("device", "power_w", "power_limit_w").iter_rows()) == {("h200", 300.0, 700.0)}
    # One rounding in each product.
    energy_mj = (measured["power_w"] * measured["latency_us"] / 1000).to_list()
    assert measured["energy_mj"].to_list() == pytest.approx(energy_mj, rel=1e-12)
    assert rows.filter(pl.col("power_w").is_null())["energy_reason"].unique().to_list() == ["not published"]


@pytest.mark.parametrize("watts", [0.0, -5.0, float("nan")])
def test_power_that_is_none_is_kept_with_its_rule(read, published, watts):
    power = pl.when(pl.int_range(pl.len()) == 2).then(pl.lit(watts)).otherwise(300.0)
    batch = read(published.gemm_table().with_columns(power=power, power_limit=700.0), "aic_gemm_power")
    assert batch.rows.height == 23
    assert "power_w" in batch.rejected["rule"].item()


def test_two_ways_of_measuring_power_are_noted(read, published):
    """Power that doubles from one m to the next and back."""
    sizes = pl.DataFrame({"m": range(1, 60)}, schema={"m": pl.Int64}).with_columns(
        n=128, k=64, gemm_dtype=pl.lit("fp8")
    )
    watts = pl.when(pl.col("m") % 2 == 0).then(300.0).otherwise(600.0)
    table = sizes.with_columns(power=watts, power_limit=700.0, latency=0.01 + pl.col("m") * 0.00137)
    assert [note.check for note in read(table, "aic_gemm_power").notes] == ["two_modes"]


def test_original_of_a_copy_is_kept_where_it_names_its_own_version(tmp_path, published):
    """Copied into the folder of a later version, a file still names the one that it was measured with."""
    table = published.collective_table()
    original, copy = (("l40s", "nccl", version) for version in ("2.27.3", "2.29.2"))
    said = {"family": "comm", "name": "nccl_perf.parquet", "product": "NVIDIA L40S"}
    published.each_table(tmp_path, {original: table}, **said)
    published.each_table(tmp_path, {copy: table}, version="2.27.3", **said)
    batch = Aiconfigurator(tmp_path).read()
    assert set(batch.rows["backend_version"]) == {"2.27.3"}
    assert set(batch.rejected["rule"]) == {
        "copy_of:l40s/float16/nccl/2.27.3",
        "copy_of:l40s/int8/nccl/2.27.3",
    }


@pytest.mark.parametrize("name", ["gemm_perf.parquet", "gemm_perf.txt"])
def test_earlier_layouts_of_the_repository_are_read(tmp_path, published, name):
    published.each_table(tmp_path, {H100: published.gemm_table()}, family="", name=name)
    rows = Aiconfigurator(tmp_path).read().rows
    assert set(rows.select("device", "backend", "backend_version").iter_rows()) == {
        ("h100", "trtllm", "1.3.0rc20")
    }
    assert rows.height == 24


def test_real_collectives_are_refused_for_copies_and_repeats_only(kernels_folder):
    path = kernels_folder / "aic_comm.parquet"
    batch = Aiconfigurator(path).read()
    assert (
        batch.rows.height + batch.rejected.height == pl.scan_parquet(path).select(pl.len()).collect().item()
    )
    rules = set(batch.rejected["rule"].str.extract("^([a-z_]+)"))
    assert rules <= {"copy_of", "duplicate", "contradicting_duplicate"}
