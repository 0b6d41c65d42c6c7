"""Starts, watches, restarts and stops the processes of a system on one machine."""
