"""Data sets and images: pixels in [0, 1], shape [C, H, W], one integer label each."""

from ddrs_core.data.dataset import (
    UNKNOWN_LABEL,
    DamagedDataError,
    Dataset,
    DatasetInfo,
    ImageSource,
    ReadImages,
    Shape,
    image_digest,
)
from ddrs_core.data.images.decode import EXTENSIONS, ImageError, Picture, read_picture
from ddrs_core.data.images.preprocess import fit_picture
from ddrs_core.data.images.thumbnails import thumbnail
from ddrs_core.data.registry import (
    NotDownloadedError,
    add_dataset,
    attach_dataset,
    download_dataset,
    get_dataset_info,
    list_datasets,
    list_downloads,
    load_dataset,
    remove_dataset,
)
from ddrs_core.data.user.uploaded_images import KeptPicture, is_picture_name, keep_picture
from ddrs_core.download import DownloadError, DownloadProgress

__all__ = [
    "EXTENSIONS",
    "UNKNOWN_LABEL",
    "DamagedDataError",
    "Dataset",
    "DatasetInfo",
    "DownloadError",
    "DownloadProgress",
    "ImageError",
    "ImageSource",
    "KeptPicture",
    "NotDownloadedError",
    "Picture",
    "ReadImages",
    "Shape",
    "add_dataset",
    "attach_dataset",
    "download_dataset",
    "fit_picture",
    "get_dataset_info",
    "image_digest",
    "is_picture_name",
    "keep_picture",
    "list_datasets",
    "list_downloads",
    "load_dataset",
    "read_picture",
    "remove_dataset",
    "thumbnail",
]
