"""The page that watches the sigma of one image and certifies it."""
