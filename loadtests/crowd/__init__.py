"""The people of a scenario, as Locust's workers play them."""

from pathlib import Path


def locustfile_path() -> Path:
    """What Locust is to run."""
    return Path(__file__).parent / "locustfile.py"
