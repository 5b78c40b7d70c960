"""Ways to a relay: ``http`` with ``websocket`` over a network, ``memory`` inside one process."""
