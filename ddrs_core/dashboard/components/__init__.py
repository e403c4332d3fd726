"""Parts that any page may draw: boards, the gallery, charts, progress."""
