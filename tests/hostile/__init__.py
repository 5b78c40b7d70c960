"""Hostile relays and hostile members against honest clients, each attack beside a control run that succeeds.

| threat | test | control: what is taken away, and what then succeeds |
|---|---|---|
| T-S1 swapped joiner | test_join_swap | the invitation's key: the ghost is a member |
| T-S2 ghosts | test_ghosts | certificate signatures: a share for the ghost leaves |
| T-S3 keys of the relay | test_server_keys | entry signatures: the relay reads along; kc; the list of senders |
| T-S4 forks, liars | test_forks | lh in messages: nobody notices; telling: one half; signatures: a liar stops all |
| ends of chains kept back | test_checkpoints | heads of checkpoints: never missed |
| T-S5 bent schedules | test_schedules | memory of what is held: accepted twice; signatures |
| a shut-out device | test_shut_out | signatures: it gives itself up |
| T-S6 rollback | test_rollback | the comparison of heads; the floor of the account's state |
| T-S7 signing oracle | test_oracle | the typed answer: an entry in the owner's name |
| T-S8 downgrades | test_downgrade | the closed challenge: the password is used, a proof leaves |
| T-S9 flipped bytes | test_flips | the tag: another master key is used; signature, tag and kc of shares |
| T-S9 exchanged pieces | test_exchanged | binding, tag: the commitment still refuses; that too: wrong keys; vault |
| messages kept back | test_resend | signatures: whoever hands them on puts words into a mouth |
| positions left out | test_left_out | the bound on asking again: asked for ever |
| T-S10 switches | test_switches | entry signatures: words leave in clear |
| T-S11 marks kept back, storms | test_marks | beside each test |
| T-S12 removed member | test_removed | recipients from the log; rotate-then-speak; slots under a key of the relay |
| T-S13 live transfer | test_live_transfer | signatures; kc; memory of asks; the time; the next offer; the late one |
| T-M1 to T-M3, T-M5, T-M8 | test_members | beside each test |
| T-M4 | test_races, test_relay_races | beside each test |
| T-M6 older keys | test_history | beside each test |
| T-M7 half-states | tests/table | beside each test |
| T-N3 a month away | test_races | an inbox that forgets: gaps |
| T-I2 envelopes bent | tests/protocol/test_jws, vectors/envelope.json | the closed list: an embedded key gets in |
| T-I6 keys that are none | tests/test_crypto, vectors/points.json, identity.json | the exchange; the remainders |
| T-B4 | test_enumeration | beside each test |
| stolen device | test_thief | beside each test |
"""
