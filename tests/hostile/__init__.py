"""Hostile relays and hostile members against honest clients, each attack beside a control run that succeeds."""
