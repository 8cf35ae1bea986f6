"""A text that could lead LightGBM out of its memory, or into a loop, is refused before LightGBM sees it."""

import re

import lightgbm
import numpy as np
import pytest

from foretell.errors import ArtefactError
from foretell.predictors.ensemble import END, Ensemble


def train(**options):
    features = np.random.default_rng(0).normal(size=(300, 4))
    labels = options.pop("labels", features @ np.arange(4))
    features[:, 0] = np.arange(300) % 3
    data = lightgbm.Dataset(features, labels, categorical_feature=options.pop("categories", "auto"))
    parameters = {"verbose": -1, "num_leaves": 6, "num_threads": 1, **options}
    return lightgbm.train(parameters, data, 5)


@pytest.fixture(scope="module")
def text():
    return train().model_to_string()


def crafted(text, change):
    """The text with another tree 1, whose size the header states."""
    start, end = text.index("Tree=1\n"), text.index("Tree=2\n")
    block = change(text[start:end])
    sizes = re.search(r"^tree_sizes=(.*)$", text, re.MULTILINE)[1].split()
    sizes[1] = str(len(block))
    return re.sub(r"^tree_sizes=.*$", f"tree_sizes={' '.join(sizes)}", text, flags=re.MULTILINE).replace(
        text[start:end], block
    )


def field(name, words):
    return lambda block: re.sub(rf"^{name}=.*$", f"{name}={words}", block, flags=re.MULTILINE)


def test_trees_are_those_that_lightgbm_tells_of(text):
    booster = train()
    ensemble = Ensemble.parse(text)
    assert (ensemble.width, len(ensemble.trees)) == (booster.num_feature(), booster.num_trees())
    for tree, told in zip(ensemble.trees, booster.dump_model()["tree_info"], strict=True):
        root = told["tree_structure"]
        assert tree.size == told["num_leaves"]
        assert (tree.features[0], float(tree.thresholds.split()[0])) == (
            root["split_feature"], root["threshold"],
        )  # fmt: skip
        responses = sorted(map(float, tree.leaves.split()))
        assert responses == pytest.approx(sorted(_leaves(root)), rel=1e-12)  # printed in 17 digits


def _leaves(node):
    if "leaf_value" in node:
        return [node["leaf_value"]]
    return _leaves(node["left_child"]) + _leaves(node["right_child"])


def test_a_tree_that_is_a_constant_is_read():
    ensemble = Ensemble.parse(train(labels=np.full(300, 3.0)).model_to_string())
    assert all(tree.size == 1 for tree in ensemble.trees)


@pytest.mark.parametrize(
    "change",
    [
        field("left_child", "1 2 3 4 9"),
        field("left_child", "1 2 3 4 -7"),
        field("left_child", "1 2 3 4"),
        field("left_child", "1 2 3 4 -1 -1"),
        field("left_child", "0 2 3 4 -1"),
        field("left_child", "4294967297 2 3 4 -1"),
        field("left_child", "1_0 2 3 4 -1"),
        field("left_child", ""),
        field("right_child", "1 1 1 1 1"),
        field("split_feature", "0 1 2 3 4"),
        field("split_feature", "0 1 2 3 -1"),
        field("decision_type", "1 2 2 2 2"),
        field("num_leaves", "100000000"),
        field("num_leaves", "0"),
        field("num_cat", "1"),
        field("is_linear", "1"),
        field("leaf_value", "1 2 3"),
        field("leaf_value", "1 2 3 4 5 nan"),
        field("threshold", "0.5 many 1 2 3"),
        lambda block: block.replace("left_child", "child"),
        lambda block: block + "left_child=1 2 3 4 -1\n",
        lambda block: "num_leaves=6\n" + block,
        lambda block: block.replace("\n", "\n\n", 3),
        lambda block: block.rstrip("\n"),
        lambda block: block.replace("num_cat=0\n", "num_cat=0\nfree text\n"),
    ],
)
def test_a_tree_that_is_none_is_refused(text, change):
    changed = crafted(text, change)
    assert changed != text
    with pytest.raises(ArtefactError, match="not a LightGBM model"):
        Ensemble.parse(changed)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("num_class", "3"),
        ("num_tree_per_iteration", "2"),
        ("objective", "multiclass num_class:9"),
        ("objective", "regression sqrt"),
        ("max_feature_idx", "0"),
        ("max_feature_idx", "-1"),
        ("max_feature_idx", "99999999999"),
        ("tree_sizes", "1 2 3"),
        ("tree_sizes", ""),
        ("num_class", "1\nnum_class=3"),
    ],
)
def test_a_header_that_says_something_else_is_refused(text, name, words):
    with pytest.raises(ArtefactError, match="not a LightGBM model"):
        Ensemble.parse(re.sub(rf"^{name}=.*$", f"{name}={words}", text, count=1, flags=re.MULTILINE))


@pytest.mark.parametrize("spoil", ["", "tree", "not a model", "\0"])
def test_a_text_that_is_no_model_is_refused(spoil):
    with pytest.raises(ArtefactError, match="not a LightGBM model"):
        Ensemble.parse(spoil)


@pytest.mark.parametrize("character", ["\0", "\r", "ä"])
def test_characters_that_lightgbm_reads_otherwise_are_refused(text, character):
    with pytest.raises(ArtefactError, match="not a LightGBM model"):
        Ensemble.parse(text.replace("Column_1", f"Column_{character}", 1))


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.75, 0.9])
def test_a_text_that_breaks_off_is_refused(text, share):
    with pytest.raises(ArtefactError, match="not a LightGBM model"):
        Ensemble.parse(text[: int(share * text.index(END))])


@pytest.mark.parametrize("options", [{"objective": "binary"}, {"categories": [0]}])
def test_models_of_another_kind_are_refused(options):
    labels = np.arange(300) % 3 // 2.0
    with pytest.raises(ArtefactError, match="not a LightGBM model"):
        Ensemble.parse(train(labels=labels, **options).model_to_string())


@pytest.fixture(scope="module")
def sloped():
    return train(linear_tree=True).model_to_string()


def test_slopes_are_read(sloped):
    assert all(tree.sloped for tree in Ensemble.parse(sloped).trees)


@pytest.mark.parametrize(
    "change",
    [
        lambda block: re.sub(r"^(leaf_features=.*)\d ", r"\g<1>9 ", block, flags=re.MULTILINE),
        lambda block: re.sub(r"^(leaf_features=)\d ", r"\1", block, flags=re.MULTILINE),
        lambda block: re.sub(r"^(leaf_features=\d )", r"\1 ", block, flags=re.MULTILINE),
        lambda block: re.sub(r"^(leaf_coeff=\S+ )", r"\g<1>1.5 ", block, flags=re.MULTILINE),
        lambda block: re.sub(r"^(leaf_coeff=)\S+ ", r"\g<1>inf ", block, flags=re.MULTILINE),
        lambda block: re.sub(r"^(num_features=)\d", r"\g<1>9", block, flags=re.MULTILINE),
        lambda block: re.sub(r"^(num_features=)\d", r"\g<1>-1", block, flags=re.MULTILINE),
        field("leaf_const", "1 2"),
    ],
)
def test_slopes_that_do_not_fit_are_refused(sloped, change):
    changed = crafted(sloped, change)
    assert changed != sloped
    with pytest.raises(ArtefactError, match="not a LightGBM model"):
        Ensemble.parse(changed)
