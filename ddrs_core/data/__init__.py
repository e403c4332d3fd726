"""Data sets and images: pixels in [0, 1], shape [C, H, W], one integer label each."""

from ddrs_core.data.dataset import Dataset, DatasetInfo, list_datasets, load_dataset

__all__ = ["Dataset", "DatasetInfo", "list_datasets", "load_dataset"]
