"""Every operation by every role in every state, at the relay and at a client whose relay lies; half-states at every
endpoint (T-M7). What is expected stands here in words of its own, not in the tables the product reads."""
