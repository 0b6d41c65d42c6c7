"""The embedded tier: a Kafka-protocol broker in memory and Valkey, both as processes of ours on loopback.

For demos and tests, never for production: the log is in memory, so every start begins empty.
"""
