"""Where a partition starts; it stands in the state, for rebuilding starts there too."""

from services.state.recovery import Start

__all__ = ["Start"]
