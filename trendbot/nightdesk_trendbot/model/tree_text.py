"""LightGBM's text of a model, looked at before LightGBM reads it: its reader trusts every index that stands in it."""

from __future__ import annotations

_PER_SPLIT = ("split_feature", "threshold", "decision_type", "left_child", "right_child")


def check_trees(text: str, *, features: int) -> None:
    """Raise `ValueError` where a tree is none: an index that leads out of it, a circle, or a kind never trained.

    `features` is how many inputs the model is asked with. The numbers themselves are LightGBM's to read.
    """
    header, *trees = text.partition("\nend of trees")[0].split("\nTree=")
    said = _fields(header)
    if said.get("max_feature_idx") != str(features - 1):
        raise ValueError(f"the trees are not of {features} inputs")
    if (said.get("num_class"), said.get("num_tree_per_iteration")) != ("1", "1") or not trees:
        raise ValueError("these are no trees of one probability")
    for number, tree in enumerate(trees):
        try:
            _check_tree(_fields(tree), features)
        except (KeyError, ValueError) as error:
            raise ValueError(f"tree {number} is broken: {error}") from None


def _fields(block: str) -> dict[str, str]:
    return {key: value for line in block.splitlines() for key, equals, value in [line.partition("=")] if equals}


def _check_tree(said: dict[str, str], features: int) -> None:
    leaves = int(said["num_leaves"])
    if said["num_cat"] != "0" or said.get("is_linear", "0") != "0" or leaves < 1:
        raise ValueError("it is of a kind that is never trained")
    if len(said["leaf_value"].split()) != leaves:
        raise ValueError("leaf_value has another length")
    if leaves == 1:
        return
    for name in _PER_SPLIT:
        if len(said[name].split()) != leaves - 1:
            raise ValueError(f"{name} has another length")
    if not all(0 <= int(index) < features for index in said["split_feature"].split()):
        raise ValueError("it asks for an input that there is not")
    children = [[int(child) for child in said[name].split()] for name in ("left_child", "right_child")]
    # Each node and each leaf but the root is somebody's child once. A leaf is written as what follows from -1 down.
    if sorted(child for side in children for child in side) != [*range(-leaves, 0), *range(1, leaves - 1)]:
        raise ValueError("its nodes do not hang together")
    reached, ahead = 0, [0]
    while ahead:
        node = ahead.pop()
        reached += 1
        ahead.extend(side[node] for side in children if side[node] >= 0)
    if reached != leaves - 1:
        raise ValueError("its nodes lead in a circle")
