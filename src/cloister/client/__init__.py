"""The client SDK: ``Client``, its records and its events."""

from cloister.client.client import Client
from cloister.client.sphere import Sphere

__all__ = ["Client", "Sphere"]
