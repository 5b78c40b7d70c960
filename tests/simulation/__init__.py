"""Ten clients, one relay, a bad network and a clock that only the simulation moves (T-N1).

The clients and the relay are the real ones; what surrounds them is drawn from a seed: how long a frame travels, what is
lost, doubled or turned round, who is cut off, whose clock is wrong, who dies in which write and when he starts again,
and what people do. Everything runs in one thread in virtual time, so that the same seed gives the same trace.

| module | knows |
|---|---|
| loop | virtual time, executors that run at once |
| weather | delay, loss, duplication, order, partitions: the way between a client and the relay |
| cast | the accounts everybody starts from, made once and copied |
| person | one device: starting, dying in a write, starting again; what its owner does |
| story | one seed from the first step to the last |
| verdict | what must hold afterwards |
| weak | builds with one promise broken, for control runs |
| crowded | many clients at one relay process, without virtual time: what each was told (T-N2) |
| linear | whether what they were told is one log, served one act at a time |

    python -m tests.simulation SEED          replays one seed; --trace shows every step
"""
