"""Time into commands: a tick each second in every partition, and campaigns that open and close by their windows."""
