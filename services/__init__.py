"""Maskline: the appointment portal that does not fall over."""
