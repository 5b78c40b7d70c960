"""Tables of the relay: what it stores, and nothing it could read.

Envelopes are stored as the text that was received. Positions are given inside the transaction that stores the row.
The same definitions serve SQLite and PostgreSQL; ``migrations`` brings a database to this form.

Spec: API-050, STR-001, STR-002.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
    text,
)

metadata: Final = MetaData()

# Kinds of rows in a sphere's stream.
ENTRY: Final = 0
MESSAGE: Final = 1
# Every so many messages of a device one is a mark, which all up to the next one point to.
STRIDE: Final = 256

meta = Table("meta", metadata, Column("key", Text, primary_key=True), Column("value", LargeBinary, nullable=False))

account = Table(
    "account",
    metadata,
    Column("id", Text, primary_key=True),  # id- of the first identity key
    Column("login", Text, nullable=False, unique=True),
    Column("salt16", LargeBinary, nullable=False),
    Column("v", LargeBinary, nullable=False),  # SRP verifier, sealed under server.key
    Column("ver", Integer, nullable=False),
    Column("cred_ver", Integer, nullable=False),
    Column("mkv", Integer, nullable=False),
    Column("wmk", LargeBinary, nullable=False),
    Column("wrk", LargeBinary, nullable=False),
    Column("admin", Boolean, nullable=False),
    Column("suspended", Boolean, nullable=False),
    Column("created", BigInteger, nullable=False),
)
device = Table(
    "device",
    metadata,
    Column("dv", Text, primary_key=True),
    Column("account", Text, nullable=False, index=True),
    Column("dk", LargeBinary, nullable=False),
    Column("cert", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("added", BigInteger, nullable=False),
)
klog = Table(
    "klog",
    metadata,
    Column("id", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("jws", Text, nullable=False),
)
session = Table(
    "session",
    metadata,
    Column("h", LargeBinary, primary_key=True),  # SHA-256 of the token
    Column("account", Text, nullable=False, index=True),
    Column("dv", Text),
    Column("level", Text, nullable=False),  # password | device
    Column("made", BigInteger, nullable=False),
    Column("used", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
)
slot = Table(
    "slot",
    metadata,
    Column("account", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("mkv", Integer, nullable=False),
    Column("ctr", BigInteger),
    Column("bytes", LargeBinary, nullable=False),
)
ticket = Table(
    "ticket",
    metadata,
    Column("h", LargeBinary, primary_key=True),
    Column("kind", Text, nullable=False),  # setup | link | sphere
    Column("uses", Integer, nullable=False),
    Column("exp", BigInteger, nullable=False),
)
sphere = Table(
    "sphere",
    metadata,
    Column("n", Integer, primary_key=True),
    Column("sph", Text, nullable=False, unique=True),
    Column("head_seq", BigInteger, nullable=False),
    Column("next_pos", BigInteger, nullable=False),
    Column("mode", Text, nullable=False),
    Column("retention", Integer, nullable=False),  # days, 0 is no limit
)
# State after entry ``seq``: a shortcut, the entries decide. Apart from the sphere's row, which every message rewrites.
snapshot = Table(
    "snapshot",
    metadata,
    Column("sphere", Integer, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("state", LargeBinary, nullable=False),
)
member = Table(
    "member",
    metadata,
    Column("id", Text, primary_key=True),
    Column("sphere", Integer, primary_key=True),
    Index("ix_member_sphere", "sphere"),
)
item = Table(
    "item",
    metadata,
    Column("sphere", Integer, primary_key=True),
    Column("pos", BigInteger, primary_key=True),
    Column("kind", Integer, nullable=False),
    Column("dv", Text, nullable=False),  # chain of a message; empty for an entry
    Column("seq", BigInteger, nullable=False),
    Column("h", LargeBinary, nullable=False),
    Column("ls", BigInteger, nullable=False),  # log position a message names; of an entry its own
    Column("at", BigInteger, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("prev", BigInteger, nullable=False),  # position of the chain's message before, 0 for none
    Column("mark", BigInteger, nullable=False),  # and of the last one before whose seq is a multiple of STRIDE
    Column("jws", Text, nullable=False),
)
# What the rows of entries are found by: written as the index is, so that the database sees that they belong together.
IS_ENTRY: Final = item.c.kind == literal_column(str(ENTRY))
_ENTRIES: Final = text(f"kind = {ENTRY}")
Index("ix_item_entry", item.c.sphere, item.c.seq, unique=True, sqlite_where=_ENTRIES, postgresql_where=_ENTRIES)
# The last message of each device, which a message rewrites. Earlier ones are found from here by ``prev`` and ``mark``:
# an index by device would cost a page of the log for each author in a commit.
chain = Table(
    "chain",
    metadata,
    Column("sphere", Integer, primary_key=True),
    Column("dv", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("h", LargeBinary, nullable=False),
    Column("ls", BigInteger, nullable=False),
    Column("pos", BigInteger, nullable=False),
    Column("mark", BigInteger, nullable=False),
)
attach = Table(
    "attach",
    metadata,
    Column("sphere", Integer, primary_key=True),
    Column("h", LargeBinary, primary_key=True),
    Column("jws", Text, nullable=False),
)
link = Table(
    "link",
    metadata,
    Column("sphere", Integer, primary_key=True),
    Column("n", BigInteger, primary_key=True),
    Column("blob", LargeBinary, nullable=False),
)
join = Table(
    "join",
    metadata,
    Column("h", LargeBinary, primary_key=True),
    Column("sph", Text, nullable=False, index=True),
    Column("account", Text, nullable=False, index=True),
    Column("jws", Text, nullable=False),
    Column("state", Text, nullable=False),  # waiting | admitted | refused | withdrawn
    Column("exp", BigInteger, nullable=False),
    Column("card", Text),
)
inbox = Table(
    "inbox",
    metadata,
    Column("dv", Text, primary_key=True),
    Column("pos", BigInteger, primary_key=True),
    Column("kind", Text, nullable=False),  # p2p | commit
    Column("ref", LargeBinary, nullable=False),  # what makes a second delivery a duplicate
    Column("sph", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("dv", "ref"),
)
inbox_head = Table(
    "inbox_head",
    metadata,
    Column("dv", Text, primary_key=True),
    Column("next_pos", BigInteger, nullable=False),
)
idem = Table(
    "idem",
    metadata,
    Column("key", Text, primary_key=True),
    Column("h", LargeBinary, nullable=False),
    Column("answer", Text, nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
)
