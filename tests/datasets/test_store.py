"""The store keeps what obeys, sets aside what does not, and gives any recorded version again."""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from foretell.datasets import commit as commit_module
from foretell.datasets.kernel import Kernel
from foretell.datasets.store import KINDS, Store, default_root
from foretell.datasets.validate import validate
from foretell.errors import ArtefactError, InputError, UnavailableError


def kernels(*ms, **columns):
    """Kernel rows that obey the schema unless `columns` say otherwise."""
    defaults = {
        "operator": "gemm", "n": 64, "k": 64, "dtype": "float32", "device": "cpu", "backend": "torch",
        "backend_version": "2", "status": "ok", "latency_us": 12.5, "energy_reason": "no meter",
        "origin": "test",
    }  # fmt: skip
    return pl.DataFrame({"m": ms}, schema={"m": pl.Int64}).with_columns(
        **{
            name: value if isinstance(value, pl.Series) else pl.lit(value)
            for name, value in (defaults | columns).items()
        }
    )


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def ms(frame):
    return sorted(frame.collect()["m"].to_list())


def only_file(store, name):
    (path,) = store.root.glob(f"kernel/*/{name}.parquet")
    return path


def test_every_kind_has_a_schema_and_an_empty_scan(store):
    for kind in KINDS:
        assert store.scan(kind).collect().is_empty()
        assert store.rejected(kind).collect().is_empty()


def test_appended_rows_come_back_in_the_types_of_the_kind(store):
    rows = kernels(1, 2, 3)
    result = store.append("kernel", rows)
    back = store.scan("kernel").collect()
    assert (result.accepted, result.rejected) == (3, 0)
    assert dict(back.schema) == dict(Kernel.create_empty().schema)
    assert back.select(rows.columns).equals(rows)


def test_scan_is_lazy(store):
    store.append("kernel", kernels(1, 2))
    assert "PROJECT 1/" in store.scan("kernel").select("m").explain()


def test_a_broken_row_is_kept_with_every_rule_that_it_broke(store):
    before = datetime.now(UTC)
    result = store.append("kernel", kernels(1, 0, 5, status=pl.Series(["ok", "failed", "ok"])))
    assert (result.accepted, result.rejected) == (2, 1)
    (row,) = store.rejected("kernel").collect().to_dicts()
    assert row["m"] == 0
    assert row["rule"] == "m|min,ok_rows_have_a_latency"
    assert before <= row["rejected_at"] <= datetime.now(UTC)


def test_no_row_is_lost_between_accepted_and_rejected(store):
    store.append("kernel", kernels(*range(-3, 4)))
    assert sorted(ms(store.scan("kernel")) + ms(store.rejected("kernel"))) == list(range(-3, 4))


def test_rows_that_the_caller_refused_keep_their_own_columns(store):
    refused = pl.DataFrame({"m": [7], "table": ["b300"], "rule": ["copy of another table"]})
    result = store.append("kernel", kernels(1, 0), rejected=refused)
    rejected = store.rejected("kernel").collect().sort("m")
    assert (result.accepted, result.rejected) == (1, 2)
    assert rejected["rule"].to_list() == ["m|min", "copy of another table"]
    assert rejected["table"].to_list() == [None, "b300"]


def test_refused_rows_must_say_why(store):
    with pytest.raises(InputError, match=r"rejected\.rule"):
        store.append("kernel", kernels(1), rejected=pl.DataFrame({"m": [7]}))


def test_rejected_rows_alone_leave_the_version_as_it_was(store):
    store.append("kernel", kernels(1))
    version = store.version("kernel")
    assert store.append("kernel", kernels(0)).version == version
    assert ms(store.scan("kernel")) == [1]


@pytest.mark.parametrize(
    ("field", "rows"),
    [
        ("sparsity", kernels(1, sparsity=0.5)),
        ("dtype", kernels(1).drop("dtype")),
        ("m", kernels(1).with_columns(m=pl.lit("1"))),
        ("rows[1].m", pl.concat([kernels(1), kernels(1)]).with_columns(m=pl.Series([1.0, 2.5]))),
        ("rows[0].latency_us", kernels(1, latency_us=2**53 + 1)),
        ("rows[0].repeats", kernels(1, repeats=float("nan"))),
        ("measured_at", kernels(1, measured_at=datetime(2026, 1, 1))),
        ("rows", kernels()),
    ],
)  # fmt: skip
def test_columns_that_do_not_fit_are_refused_by_name_and_nothing_is_kept(store, field, rows):
    with pytest.raises(InputError) as caught:
        store.append("kernel", rows)
    assert caught.value.field == field
    assert not store.root.exists()


@pytest.mark.parametrize(
    "columns",
    [
        {"m": pl.lit(4, pl.UInt8)},
        {"m": pl.lit(4.0)},
        {"dtype": pl.lit("float32").cast(pl.Categorical)},
        {"repeats": pl.lit(None)},
        {"latency_us": pl.lit(3)},
        {"measured_at": pl.lit(datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Zurich")))},
    ],
)
def test_a_conversion_that_loses_nothing_is_done(store, columns):
    assert store.append("kernel", kernels(4).with_columns(**columns)).accepted == 1


def test_unknown_kind_is_refused(store):
    for call in (store.scan, store.rejected, store.version, store.record):
        with pytest.raises(InputError, match="kind: got 'kernels', expected one of device, kernel"):
            call("kernels")


def test_two_equal_batches_both_count(store):
    store.append("kernel", kernels(1, 2))
    store.append("kernel", kernels(1, 2))
    assert ms(store.scan("kernel")) == [1, 1, 2, 2]


def test_a_recorded_version_stays_what_it_was(store):
    store.append("kernel", kernels(1, 2))
    version = store.record("kernel")
    store.append("kernel", kernels(3))
    assert ms(store.scan("kernel", version=version)) == [1, 2]
    assert store.version("kernel") != version


def test_version_depends_on_the_batches_and_not_on_their_order_or_place(tmp_path):
    one, other = Store(tmp_path / "one"), Store(tmp_path / "other")
    for batch in (1, 2, 2):
        one.append("kernel", kernels(batch))
    for batch in (2, 1, 2):
        other.append("kernel", kernels(batch))
    assert one.version("kernel") == other.version("kernel")
    assert one.scan("kernel").collect().equals(other.scan("kernel").collect())


def test_appends_report_the_version_that_they_made(store):
    results = [store.append("kernel", kernels(m)) for m in (1, 2)]
    assert results[0].version != results[1].version == store.version("kernel")


def test_recording_twice_is_harmless(store):
    store.append("kernel", kernels(1))
    assert store.record("kernel") == store.record("kernel")


@pytest.mark.parametrize("version", ["0" * 16, "..", ""])
def test_a_version_that_was_never_recorded_is_refused(store, version):
    store.append("kernel", kernels(1))
    recorded = store.record("kernel")
    with pytest.raises(InputError, match=f"recorded version of kernel: one of {recorded}"):
        store.scan("kernel", version=version)


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b[:40] + b"\0" + b[41:]]
)
@pytest.mark.parametrize("name", ["rows", "manifest"])
def test_a_damaged_file_is_named(store, name, damage):
    store.append("kernel", kernels(1, 2, 3))
    version = store.record("kernel")
    (path,) = store.root.rglob(f"{name}.*")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ArtefactError, match=str(path)):
        Store(store.root).scan("kernel", version=version)


def test_a_truncated_file_of_rejected_rows_is_named(store):
    store.append("kernel", kernels(0))
    path = only_file(store, "rejected")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ArtefactError, match=str(path)):
        store.rejected("kernel")


def test_a_removed_batch_of_a_recorded_version_is_named(store):
    store.append("kernel", kernels(1))
    version = store.record("kernel")
    path = only_file(store, "rows")
    path.unlink()
    with pytest.raises(ArtefactError, match=str(path)):
        store.scan("kernel", version=version)


def test_rows_of_another_schema_version_are_refused(store, monkeypatch):
    store.append("kernel", kernels(1))
    monkeypatch.setattr("foretell.datasets.kernel.VERSION", 99)
    with pytest.raises(ArtefactError, match="schema version 1, expected kernel rows of schema version 99"):
        store.scan("kernel")


def test_unfinished_batches_are_invisible_and_swept_up_only_when_old(store):
    store.append("kernel", kernels(1))
    old, young = store.root / "staging/1-old", store.root / "staging/1-young"
    for folder in (old, young):
        folder.mkdir()
        (folder / "rows.parquet").write_bytes(b"PAR1")
    past = time.time() - commit_module.STALE_AFTER_S - 60
    os.utime(old, (past, past))
    store.append("kernel", kernels(2))
    assert ms(store.scan("kernel")) == [1, 2]
    assert [path.name for path in (store.root / "staging").iterdir()] == ["1-young"]


def test_a_root_that_cannot_be_a_folder_is_named_with_the_reason(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError, match=f"cannot write {tmp_path}/file: File exists"):
        Store(tmp_path / "file/store").append("kernel", kernels(1))


FULL_DISK = """
import resource, sys
from pathlib import Path
import polars as pl
from foretell.datasets.store import Store
from foretell.errors import UnavailableError
rows = pl.read_parquet(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    Store(Path(sys.argv[1])).append("kernel", rows)
except UnavailableError as error:
    print(error)
"""


def test_a_write_that_fails_halfway_leaves_nothing_and_says_where(store, tmp_path):
    """A limit on the size of files stands in for a full disk: both fail within a write."""
    rows = tmp_path / "rows.parquet"
    kernels(*range(1, 5000)).write_parquet(rows)
    command = [sys.executable, "-c", FULL_DISK, str(store.root), str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "cannot write" in done.stdout
    assert "rows.parquet: File too large" in done.stdout
    assert store.scan("kernel").collect().is_empty()
    assert list((store.root / "staging").iterdir()) == []


def test_the_root_comes_from_the_environment_or_lies_in_mlruns(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORETELL_STORE", raising=False)
    assert default_root() == tmp_path / "mlruns/store"
    monkeypatch.setenv("FORETELL_STORE", "elsewhere")
    assert Store().root == tmp_path / "elsewhere"


@pytest.mark.parametrize("name", ["a=1", "sto*re", "st[o]re"])
def test_special_characters_in_the_root_mean_nothing(tmp_path, name):
    store = Store(tmp_path / name)
    store.append("kernel", kernels(1, 0))
    assert store.scan("kernel").collect().columns == Kernel.column_names()
    assert store.rejected("kernel").collect().columns == [*Kernel.column_names(), "rule", "rejected_at"]


def test_equal_batches_are_two_unless_asked_for_once(store):
    store.append("kernel", kernels(1, 2))
    store.append("kernel", kernels(1, 2))
    assert ms(store.scan("kernel")) == [1, 1, 2, 2]
    assert store.append("kernel", kernels(1, 2), once=True).accepted == 0
    assert ms(store.scan("kernel")) == [1, 1, 2, 2]


def test_rows_of_a_schema_with_fewer_columns_are_still_read(store, monkeypatch):
    """The nullable columns that a schema gains are null in the batches written before."""
    store.append("kernel", kernels(1, 2))
    old = validate(kernels(3), Kernel)[0].select(kernels().columns)
    with monkeypatch.context() as patch:
        patch.setattr("foretell.datasets.store.validate", lambda rows, _: (rows, rows.clear()))
        store.append("kernel", old)
    rows = store.scan("kernel").collect()
    assert rows.schema == Kernel.create_empty().schema
    assert sorted(rows["m"]) == [1, 2, 3]
    assert rows.filter(m=3)["batch"].to_list() == [None]
