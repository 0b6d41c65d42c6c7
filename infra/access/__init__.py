"""Who may do what at Kafka and Redis, and the certificates and passwords that show who somebody is."""
