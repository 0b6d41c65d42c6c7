"""Where services find the base class of all errors; it stands in the domain, which raises them too."""

from services.domain.errors import MasklineError

__all__ = ["MasklineError"]
