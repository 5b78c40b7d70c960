"""Being written by the engineer of hub and writer (see /tmp/brief/NOTE-R.md)."""
