"""Kafka: topics, the log's identity, appending by group commit, reading with seek. Bytes in, bytes out.

What the bytes mean is `services.domain.commands` and `services.domain.events`.
"""
