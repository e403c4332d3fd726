"""Data sets and images: pixels in [0, 1], shape [C, H, W], one integer label each."""

from ddrs_core.data.dataset import DamagedDataError, Dataset, DatasetInfo, ReadImages, image_digest
from ddrs_core.data.images.decode import EXTENSIONS, ImageError
from ddrs_core.data.images.thumbnails import thumbnail
from ddrs_core.data.registry import (
    add_dataset,
    attach_dataset,
    download_dataset,
    get_dataset_info,
    list_datasets,
    list_downloads,
    load_dataset,
    remove_dataset,
)
from ddrs_core.data.user.uploaded_images import is_picture_name, keep_picture
from ddrs_core.download import DownloadProgress
