"""Time into commands: a tick each second in every partition, campaigns that open and close by their windows, what slots
make due, and the deletion of what is over."""
