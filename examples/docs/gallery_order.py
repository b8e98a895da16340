"""The gallery in the order in which a newcomer asks, for sphinx-gallery, which imports this by name."""

ORDER = [
    "plot_first_pipeline.py",
    "plot_choosing_parameters.py",
    "plot_swap_parts.py",
    "plot_embeddings.py",
    "plot_thresholds.py",
    "plot_day.py",
    "plot_new_home.py",
    "plot_review.py",
    "plot_search_at_scale.py",
    "plot_cluster.py",
    "plot_published_scripts.py",
]


class GalleryOrder:
    """Sorts file names; sphinx-gallery makes one per folder."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, name):
        """Tell the place of a script; what is not listed comes last."""
        return ORDER.index(name) if name in ORDER else len(ORDER)
