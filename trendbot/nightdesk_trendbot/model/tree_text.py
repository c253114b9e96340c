"""LightGBM's text of a model, held to its grammar before LightGBM reads it.

Its reader trusts what stands there: an index that leads out of a tree, a size that is another, a parameter without its
colon. What comes of that is memory that is not its own, which may end the process at once, later, or at the next start.
So the text must be, to its last line, what LightGBM writes of trees for one probability.
"""

from __future__ import annotations

import math
import re

_LONGEST_NUMBER = 40
_HEADER = re.compile(
    r"tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=(?P<last>\d{1,6})\n"
    r"objective=binary sigmoid:1\nfeature_names=(?P<names>[^\n]*)\nfeature_infos=(?P<infos>[^\n]*)\n"
    r"tree_sizes=(?P<sizes>\d{1,9}(?: \d{1,9})*)\n\n"
)
_INFO = re.compile(r"none|\[[0-9eE.+-]{1,40}:[0-9eE.+-]{1,40}\]")
_TRAILER = re.compile(
    r"end of trees\n\nfeature_importances:\n(?:\w{1,200}=\d{1,9}\n)*\n"
    r"parameters:\n(?:\[[a-z0-9_]{1,100}: [\w.,+-]{0,1000}\]\n)*\nend of parameters\n\n"
    r"pandas_categorical:(?:null|\[\])\n*",
    re.ASCII,
)
_PER_LEAF = ("leaf_value", "leaf_weight", "leaf_count")
_PER_SPLIT = (
    *("split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child"),
    *("internal_value", "internal_weight", "internal_count"),
)
_FIELDS = {"Tree", "num_leaves", "num_cat", *_PER_SPLIT, *_PER_LEAF, "is_linear", "shrinkage"}
_WHOLE = {"Tree", "num_leaves", "split_feature", "decision_type", "left_child", "right_child"}


def check_trees(text: str, *, features: int) -> None:
    """Raise `ValueError` that says where a text is not LightGBM's of trees with one probability and so many inputs."""
    header = _HEADER.match(text)
    if header is None:
        raise ValueError("the head of the trees is not what LightGBM writes of one probability")
    infos = header["infos"].split(" ")
    if not int(header["last"]) + 1 == len(header["names"].split(" ")) == len(infos) == features:
        raise ValueError(f"the trees are not of {features} inputs")
    if not all(map(_INFO.fullmatch, infos)):
        raise ValueError("the head of the trees says no ranges of the inputs")
    at = header.end()
    for number, size in enumerate(map(int, header["sizes"].split(" "))):
        try:
            _check_tree(text[at : at + size], number, features)
        except (KeyError, ValueError) as error:
            raise ValueError(f"tree {number} is broken: {error}") from None
        at += size
    if not _TRAILER.fullmatch(text, at):
        raise ValueError("what follows the trees is not what LightGBM writes")


def _check_tree(block: str, number: int, features: int) -> None:
    if not block.endswith("\n\n\n"):
        raise ValueError("it does not end where it should")
    lines = [line.partition("=") for line in block[:-3].split("\n")]
    said = {key: values for key, _, values in lines}
    if len(said) != len(lines) or said.keys() - _FIELDS or said["Tree"] != str(number):
        raise ValueError("it holds what does not belong into a tree")
    if said["num_cat"] != "0" or said["is_linear"] != "0":
        raise ValueError("it is of a kind that is never trained")
    numbers = {key: _numbers(key, values) for key, values in said.items()}
    (leaves,) = numbers["num_leaves"]
    if leaves == 1:
        if len(numbers["leaf_value"]) != 1 or any(numbers.get(name) for name in _PER_SPLIT):
            raise ValueError("it has one leaf, and more")
        return
    for names, length in ((_PER_LEAF, leaves), (_PER_SPLIT, leaves - 1)):
        for name in names:
            if len(numbers[name]) != length:
                raise ValueError(f"{name} has another length")
    if not all(0 <= feature < features for feature in numbers["split_feature"]):
        raise ValueError("it asks for an input that there is not")
    _check_nodes([list(map(int, numbers[name])) for name in ("left_child", "right_child")], int(leaves))


def _numbers(key: str, values: str) -> list[float]:
    found: list[float] = []
    for digits in values.split(" ") if values else ():
        if len(digits) > _LONGEST_NUMBER or not digits.isascii() or "_" in digits:
            raise ValueError(f"{key} holds no numbers")
        found.append(int(digits) if key in _WHOLE else float(digits))
    if not all(map(math.isfinite, found)):
        raise ValueError(f"{key} holds a number that is not finite")
    return found


def _check_nodes(children: list[list[int]], leaves: int) -> None:
    """Each node and each leaf but the root is somebody's child once. Leaves are counted from -1 down."""
    if sorted(child for side in children for child in side) != [*range(-leaves, 0), *range(1, leaves - 1)]:
        raise ValueError("its nodes do not hang together")
    reached, ahead = 0, [0]
    while ahead:
        node = ahead.pop()
        reached += 1
        ahead.extend(side[node] for side in children if side[node] >= 0)
    if reached != leaves - 1:
        raise ValueError("its nodes lead in a circle")
