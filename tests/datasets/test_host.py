import os
from dataclasses import replace

import polars as pl
import pytest

from foretell.datasets import host
from foretell.datasets.cpu import Cpu, from_linux, from_sysctl
from foretell.datasets.cpu_peak import operations_per_cycle
from foretell.datasets.device import Device, device
from foretell.errors import UnavailableError

CLOUD = Cpu(
    vendor="GenuineIntel",
    model="Intel(R) Xeon(R) Processor",
    family=6,
    features=frozenset({"sse2", "avx", "fma", "avx2", "avx512f"}),
    threads=2,
    cores=2,
    clock_mhz=2600.0,
    l1_kb=48.0,
    last_level_cache_mb=32.0,
)
INTEL = """processor : 0
vendor_id : GenuineIntel
cpu family : 6
model name : Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
cpu MHz : 2699.998
cache size : 107520 KB
flags : fpu sse2 avx avx2 fma avx512f

processor : 1
model name : Another
"""
ARM = "processor : 0\nFeatures : fp asimd asimddp\nCPU implementer : 0x41\nCPU part : 0xd40\n"
MAC = {
    "machdep.cpu.brand_string": "Apple M2",
    "hw.cpufrequency_max": "3490000000",
    "hw.perflevel0.l2cachesize": "16777216",
    "hw.perflevel0.l1dcachesize": "131072",
    "hw.perflevel0.physicalcpu": "4",
    "hw.perflevel0.logicalcpu": "4",
    "hw.optional.arm.FEAT_DotProd": "1",
    "hw.optional.arm.FEAT_BF16": "0",
}


def machine(root, cpuinfo, files=()):
    for path, content in [("proc/cpuinfo", cpuinfo), *dict(files).items()]:
        target = root / path if path.startswith("proc") else root / "sys/devices/system/cpu" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content + "\n")
    return root


def cache_files(cpu, index, level, *, kind, size, sharers):
    folder = f"cpu{cpu}/cache/index{index}"
    return {
        f"{folder}/level": str(level),
        f"{folder}/type": kind,
        f"{folder}/size": size,
        f"{folder}/shared_cpu_list": sharers,
    }


def test_this_machine_is_a_device():
    row = host.this_cpu()
    assert Device.is_valid(row)
    assert device(row["name"].item(), row).cores == len(os.sched_getaffinity(0))


def test_this_machine_is_described_once():
    assert host.this_cpu() is host.this_cpu()


def test_linux_tells_the_first_processor(tmp_path):
    cpu = from_linux(machine(tmp_path, INTEL), frozenset({0, 1}))
    assert cpu.model == "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz"
    assert (cpu.clock_mhz, cpu.last_level_cache_mb, cpu.threads) == (2699.998, 105.0, 2)
    assert "avx512f" in cpu.features


def test_highest_clock_is_preferred(tmp_path):
    root = machine(tmp_path, INTEL, {"cpu0/cpufreq/cpuinfo_max_freq": "3800000"})
    assert from_linux(root, frozenset({0})).clock_mhz == 3800.0


def test_threads_of_one_core_count_once(tmp_path):
    siblings = {f"cpu{n}/topology/thread_siblings_list": "0,2" if n % 2 == 0 else "1,3" for n in range(4)}
    assert from_linux(machine(tmp_path, INTEL, siblings), frozenset(range(4))).cores == 2


def test_shared_caches_count_once_and_separate_ones_add_up(tmp_path):
    files = {}
    for cpu in range(4):
        files |= cache_files(cpu, 0, 1, kind="Data", size="32K", sharers=str(cpu))
        files |= cache_files(cpu, 1, 1, kind="Instruction", size="64K", sharers=str(cpu))
        files |= cache_files(cpu, 2, 3, kind="Unified", size="16384K", sharers="0-1" if cpu < 2 else "2-3")
    root = machine(tmp_path, INTEL, files)
    assert from_linux(root, frozenset(range(4))).last_level_cache_mb == 32.0
    assert from_linux(root, frozenset({0})).last_level_cache_mb == 16.0
    assert from_linux(root, frozenset({0})).l1_kb == 32.0


def test_arm_core_is_named_by_its_part(tmp_path):
    files = {"cpu0/cpufreq/cpuinfo_max_freq": "2600000"} | cache_files(
        0, 3, 3, kind="Unified", size="32768K", sharers="0"
    )
    cpu = from_linux(machine(tmp_path, ARM, files), frozenset({0}))
    assert host.device_name(cpu) == "cpu_arm_0x41_0xd40_1c"
    assert operations_per_cycle(cpu)["float32"] == 32.0


@pytest.mark.parametrize(
    ("cpuinfo", "files", "missing"),
    [
        ("", {}, "/proc/cpuinfo"),
        (ARM, {}, "clock"),
        (ARM, {"cpu0/cpufreq/cpuinfo_max_freq": "2600000"}, "last-level cache"),
    ],
)
def test_what_a_machine_does_not_tell_is_named(tmp_path, cpuinfo, files, missing):
    with pytest.raises(UnavailableError, match=f"cannot read the {missing} of this machine; describe it"):
        from_linux(machine(tmp_path, cpuinfo, files), frozenset({0}))


def test_mac_tells_through_sysctl():
    cpu = from_sysctl(MAC)
    assert host.device_name(cpu) == "cpu_apple_m2_4c"
    assert (cpu.clock_mhz, cpu.last_level_cache_mb, cpu.l1_kb) == (3490.0, 16.0, 128.0)
    assert operations_per_cycle(cpu)["float32"] == 32.0
    assert operations_per_cycle(cpu)["bfloat16"] is None


def test_intel_mac_tells_its_instruction_sets():
    told = MAC | {"machdep.cpu.features": "SSE2 FMA AVX1.0", "machdep.cpu.vendor": "GenuineIntel"}
    assert from_sysctl(told).features == {"sse2", "fma", "avx"}


def test_mac_without_a_cache_size_is_refused():
    with pytest.raises(UnavailableError, match="last-level cache"):
        from_sysctl({"hw.cpufrequency": "1000000000"})


@pytest.mark.parametrize(
    ("features", "float32"),
    [({"sse2"}, 8), ({"sse2", "avx"}, 16), ({"sse2", "avx", "fma"}, 32), ({"sse2", "fma", "avx512f"}, 64)],
)
def test_wider_vectors_do_more_per_cycle(features, float32):
    peak = operations_per_cycle(replace(CLOUD, features=frozenset(features)))
    assert (peak["float32"], peak["float64"]) == (float32, float32 / 2)


def test_early_amd_splits_512_bits():
    amd = replace(CLOUD, vendor="AuthenticAMD", family=25)
    assert operations_per_cycle(amd)["float32"] == 32
    assert operations_per_cycle(replace(amd, family=26))["float32"] == 64


def test_tile_products_are_counted():
    tiles = replace(CLOUD, features=CLOUD.features | {"amx_bf16", "amx_int8"})
    peak = operations_per_cycle(tiles)
    assert (peak["bfloat16"], peak["int8"], peak["float16"]) == (1024, 2048, None)


def test_unknown_instruction_sets_are_refused():
    with pytest.raises(UnavailableError, match="instruction sets"):
        operations_per_cycle(replace(CLOUD, features=frozenset()))


def test_rates_are_those_of_all_physical_cores():
    row = host.describe(replace(CLOUD, threads=4), memory_gb=16, bandwidth_gb_s=20, array_mb=128)
    # 64 operations a cycle x 2.6 GHz x 2 cores; the tolerance is that of rounding in float64.
    assert row["peak_float32_tflops"].item() == pytest.approx(64 * 2.6e9 * 2 / 1e12, rel=1e-12)
    assert row["cores"].item() == 4


def test_description_says_how_each_figure_was_obtained():
    small = host.describe(CLOUD, memory_gb=16, bandwidth_gb_s=20, array_mb=32)["source"].item()
    assert "derived from the instruction sets" in small
    assert "copying 32 MB with 2 threads, which the last-level cache may hold in part" in small


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("Intel(R) Xeon(R) Processor", "cpu_intel_xeon_processor_2c"),
        ("Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz", "cpu_intel_xeon_platinum_8481c_2c"),
        ("AMD EPYC 7763 64-Core Processor", "cpu_amd_epyc_7763_processor_2c"),
    ],
)
def test_name_is_model_and_threads(model, name):
    assert host.device_name(replace(CLOUD, model=model)) == name


def test_name_fits_the_kind_however_long_the_model():
    row = host.describe(replace(CLOUD, model="x" * 300), memory_gb=16, bandwidth_gb_s=20, array_mb=128)
    assert isinstance(row, pl.DataFrame)
    assert Device.is_valid(row)


def test_copying_takes_a_rate():
    # 1 MB: from a thousandth of what any machine's memory does to a hundred times the best cache's.
    assert 0.1 < host.copy_gb_s(1, threads=2, seconds=0.01) < 1e5
