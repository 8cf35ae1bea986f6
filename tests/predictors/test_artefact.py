"""Saved predictors: files that run no code, and that are refused when they are not what they say."""

import hashlib
import os

import msgspec
import pytest

from foretell.errors import ArtefactError
from foretell.predictors import load
from foretell.predictors.artefact import DOCUMENT, Document


@pytest.fixture
def saved(predictor, tmp_path):
    """A saved predictor of each family."""
    predictor.save(tmp_path / "saved")
    return tmp_path / "saved"


@pytest.fixture
def change(roofline, tmp_path):
    """A saved roofline predictor whose document was changed."""

    def changed(**fields):
        roofline.save(tmp_path / "saved")
        path = tmp_path / "saved" / DOCUMENT
        document = msgspec.json.decode(path.read_bytes())
        path.write_bytes(msgspec.json.encode(document | fields))
        return path.parent

    return changed


def test_no_file_is_of_a_format_that_can_hold_code(saved):
    assert {file.suffix for file in saved.iterdir()} <= {".json", ".txt", ".skops"}
    # Pickles of every protocol in use start with its number; zip archives (skops) and text do not.
    assert not any(file.read_bytes().startswith(b"\x80") for file in saved.iterdir())


def test_the_document_decodes_strictly_and_names_every_other_file(saved):
    document = msgspec.json.decode((saved / DOCUMENT).read_bytes(), type=Document)
    assert {*document.files, DOCUMENT} == {file.name for file in saved.iterdir()}


def test_a_folder_that_exists_is_not_written_over(predictor, saved):
    with pytest.raises(FileExistsError):
        predictor.save(saved)


def test_a_truncated_file_is_refused_by_name(saved):
    for file in saved.iterdir():
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ArtefactError, match=saved.name if file.name == DOCUMENT else file.name):
            load(saved)
        file.write_bytes(whole)
    load(saved)


def test_a_damaged_file_is_refused_by_name(saved):
    for file in sorted(saved.iterdir()):
        if file.name != DOCUMENT:
            whole = file.read_bytes()
            file.write_bytes(whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:])
            with pytest.raises(ArtefactError, match=file.name):
                load(saved)
            file.write_bytes(whole)
    load(saved)


def test_a_missing_file_is_refused_by_name(saved):
    for file in sorted(saved.iterdir()):
        whole = file.read_bytes()
        file.unlink()
        with pytest.raises(ArtefactError, match=file.name):
            load(saved)
        file.write_bytes(whole)
    load(saved)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"format": 2}, "format 2"),
        ({"weather": "fine"}, "weather"),
        ({"features": ["log_m"]}, "other features"),
        ({"encoder": {}}, "state of encoder"),
        ({"encoder": {"devices": [{"name": "h100"}]}}, "state of encoder"),
        ({"options": {"family": "oracle", "groups": [], "generalist": True}}, "oracle"),
        ({"task": {"target": "t", "unit": "us", "label": "y", "encoder": "tea_leaves"}}, "tea_leaves"),
    ],
)
def test_a_document_that_does_not_fit_is_refused(change, fields, words):
    with pytest.raises(ArtefactError, match=words):
        load(change(**fields))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"interval": {"quantiles": [-1.0, 1.0], "sized": False}}, "quantiles"),
        ({"lower": [0.0]}, "range"),
        ({"model": 7}, "model007"),
    ],
)
def test_a_head_that_does_not_fit_is_refused(change, roofline, tmp_path, fields, words):
    roofline.save(tmp_path / "other")
    heads = msgspec.json.decode((tmp_path / "other" / DOCUMENT).read_bytes())["heads"]
    heads["?"] |= fields
    with pytest.raises(ArtefactError, match=words):
        load(change(heads=heads))


def test_a_type_that_skops_does_not_trust_is_refused(train, rows, tmp_path):
    import skops.io
    from sklearn.preprocessing import FunctionTransformer

    train("forest", rows, generalist=False).save(tmp_path / "saved")
    _swap(tmp_path / "saved", skops.io.dumps(FunctionTransformer(os.getcwd)))
    with pytest.raises(ArtefactError, match="getcwd"):
        load(tmp_path / "saved")


def test_a_trusted_type_that_is_no_forest_is_refused(train, rows, tmp_path):
    import skops.io
    from sklearn.linear_model import LinearRegression

    train("forest", rows, generalist=False).save(tmp_path / "saved")
    _swap(tmp_path / "saved", skops.io.dumps(LinearRegression()))
    with pytest.raises(ArtefactError, match="no forest"):
        load(tmp_path / "saved")


def test_a_forest_whose_nodes_lead_out_of_bounds_is_refused(train, rows, tmp_path):
    import skops.io

    predictor = train("forest", rows, generalist=False)
    predictor.save(tmp_path / "saved")
    forest = skops.io.load(tmp_path / "saved" / "model000.skops", trusted=["sklearn.tree._tree.Tree"])
    state = forest.estimators_[3].tree_.__getstate__()
    state["nodes"]["left_child"][0] = 10**6
    forest.estimators_[3].tree_.__setstate__(state)
    _swap(tmp_path / "saved", skops.io.dumps(forest))
    with pytest.raises(ArtefactError, match="nodes"):
        load(tmp_path / "saved")


def _swap(folder, content):
    """Put another model in place of the first, and say so in the document."""
    (folder / "model000.skops").write_bytes(content)
    document = msgspec.json.decode((folder / DOCUMENT).read_bytes())
    document["files"]["model000.skops"] = hashlib.sha256(content).hexdigest()
    (folder / DOCUMENT).write_bytes(msgspec.json.encode(document))
