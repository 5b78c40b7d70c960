"""Off the grid: invitations and conversations of two people that need no server.

Two profiles: ``grid-v1`` (modules ``v1_*``) speaks WhisperGrid 1.1.0's format byte for byte, ``grid-v2`` (``v2_*``) is
ours. Nothing here does I/O: state goes in as plain data and comes out as new plain data, so a paste that is refused
has changed nothing (GRID-005). Whoever stores a state encrypts it, and stores it before a token made from it leaves.
Spec: chapter 12.
"""
