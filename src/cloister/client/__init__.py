"""The client SDK: ``Client``, ``Sphere``, their records and events, and ``bot``."""

from cloister.client import bot, events
from cloister.client.client import Client
from cloister.client.records import Message
from cloister.client.sphere import Sphere

__all__ = ["Client", "Message", "Sphere", "bot", "events"]
