"""The portal as it was built before, and fell: a web server in front of a database, a transaction for each booking."""
