"""Configuration files with the published shapes of well-known transformers."""

import json
from pathlib import Path

import pytest

from foretell.datasets.transformer.config import read_config, transformer
from foretell.datasets.transformer.step import Step

CONFIGS = Path(__file__).parent / "configs"

PUBLISHED = {
    "falcon-40b": 41_303_293_952,
    "falcon-7b": 6_921_720_704,
    "gemma-2-9b": 9_241_705_984,
    "gemma-2b": 2_506_172_416,
    "gpt2": 124_439_808,
    "llama-3-8b": 8_030_261_248,
    "llama-3.1-70b": 70_553_706_496,
    "llama-3.2-1b": 1_235_814_400,
    "mistral-7b": 7_241_732_096,
    "mixtral-8x7b": 46_702_792_704,
    "opt-6.7b": 6_658_473_984,
    "phi-3-mini": 3_821_079_552,
    "pythia-1b": 1_011_781_632,
    "qwen1.5-moe-a2.7b": 14_315_784_192,
    "qwen2.5-0.5b": 494_032_768,
    "qwen2.5-7b": 7_615_616_512,
    "qwen3-30b-a3b": 30_532_122_624,
    "qwen3-8b": 8_190_735_360,
}
"""Parameters as the published models hold them, tied matrices once."""


@pytest.fixture(scope="session")
def configs():
    """The folder of the files."""
    return CONFIGS


@pytest.fixture(scope="session")
def published():
    """Parameters by name of the model."""
    return PUBLISHED


@pytest.fixture(params=PUBLISHED)
def name(request):
    """Each model in turn."""
    return request.param


@pytest.fixture
def model(name):
    """It, read from its file."""
    return read_config(CONFIGS / f"{name}.json")


@pytest.fixture(scope="session")
def read():
    """A model by name, with some fields of its file changed; `...` takes a field out."""

    def make(name, **changes):
        values = json.loads((CONFIGS / f"{name}.json").read_text()) | changes
        return transformer({field: value for field, value in values.items() if value is not ...})

    return make


@pytest.fixture(scope="session")
def prefill():
    """A step that reads prompts."""
    return Step(device="h100", batch=4, tokens=512, dtype="bfloat16")


@pytest.fixture(scope="session")
def decode():
    """A step that adds a token to each of 16 sequences."""
    return Step(device="h100", batch=16, phase="decode", past=1000, dtype="bfloat16")
