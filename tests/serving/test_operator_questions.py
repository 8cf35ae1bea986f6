"""Questions about operators over REST: texts, defaults, and fields that do not go together."""

import pytest

from foretell.datasets.operators import OPERATORS
from foretell.errors import InputError
from foretell.serving.options import Options
from foretell.serving.questions import Reader

ROW = b'{"phase":"generation","batch":8,"new_tokens":1,"past_tokens":4095,"heads":32,"kv_heads":%d,' \
      b'"head_dim":128,"kv_dtype":"fp8","dtype":"bfloat16","device":"h100"}'  # fmt: skip


@pytest.fixture
def read():
    reader = Reader(OPERATORS["attention"], Options())
    return lambda *kv_heads: reader.json(b'{"rows":[%s]}' % b",".join(ROW % n for n in kv_heads), b"").rows


def test_texts_and_defaults_are_read(read):
    first, second = read(8, 4)
    assert (first.phase, first.kv_dtype, first.window, first.backend) == ("generation", "fp8", 0, None)
    assert (first.kv_heads, second.kv_heads) == (8, 4)


def test_heads_that_cannot_be_grouped_are_refused_with_their_row(read):
    with pytest.raises(InputError) as refused:
        read(8, 7, 4)
    assert (refused.value.field, refused.value.value) == ("rows[1].heads", "32")
    assert refused.value.expected == "a multiple of kv_heads"
