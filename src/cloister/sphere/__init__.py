"""What only members can do: epoch keys, key shares, messages, meta, invitations, whole commits.

Every secret of a sphere is in this package and nowhere else; it does no I/O and is never imported by the relay.
Spec: chapters 06 and 07.
"""
