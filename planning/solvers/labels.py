"""Exact label setting (`label_setting.py`), for products of accuracies too."""

from ttamer.planning.label_setting import set_labels

labels = set_labels
