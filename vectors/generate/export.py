"""Saved keys: codes, passphrases, the text, what opens it, and what the log makes of what comes out."""

from __future__ import annotations

from typing import Any

from cloister import crypto
from cloister.protocol.encoding import b64d, b64e, json_emit, json_parse, kdf, lp
from cloister.protocol.state import Policy
from cloister.sphere import compose, epoch, export
from cloister.sphere.epoch import EpochKey
from vectors.generate import Case, bad, good, rng
from vectors.generate._sphere import NOW, Person, Sphere
from vectors.generate.keys import SPH, flip, given_log

ORIGIN = "made by vectors/generate/export.py with seeded keys"
FORMAT, DOWNGRADE, VAULT, DECRYPT, WEAK = "C_FORMAT", "C_DOWNGRADE", "C_VAULT", "C_DECRYPT", "L_PASSWORD"
WORDS = "lantern orbit mussel cobalt thistle"
RAW = bytes(range(0xE0, 0xF0))


def codes() -> list[Case]:
    draw = rng("export-codes")
    out = []
    for name, raw in (("zero", bytes(16)), ("ones", b"\xff" * 16), ("some", draw(16)), ("more", draw(16))):
        shown = export.show_code(raw)
        out.append(good(f"export-code-{name}", "EXP-005", "export-code", {"bytes": raw.hex()}, shown))
        out.append(good(f"export-code-read-{name}", "EXP-005", "export-code-read", {"text": shown}, raw.hex()))
    shown = export.show_code(RAW)
    loose = {
        "upper": shown.upper(),
        "bare": shown.replace("-", ""),
        "blanks": f" {shown.replace('-', '  ')}\r\n",
        "tabs": shown.replace("-", "\t"),
    }
    zero = export.show_code(bytes(16))
    loose_zero = {"letter-o": zero.replace("0", "o"), "letter-O": zero.replace("0", "O")}
    out += [
        good(f"export-code-read-{name}", "EXP-005", "export-code-read", {"text": text}, RAW.hex())
        for name, text in loose.items()
    ]
    out += [
        good(f"export-code-read-{name}", "EXP-005", "export-code-read", {"text": text}, bytes(16).hex())
        for name, text in loose_zero.items()
    ]
    bare = shown.replace("-", "")
    pad = next(sign for sign in export.ALPHABET if export.ALPHABET.index(sign) & 3)
    swapped = next(at for at in range(25) if bare[at] != bare[at + 1])
    wrong = {
        "empty": "",
        "cut": shown[:-1],
        "long": shown + "0",
        "one-sign": ("1" if bare[0] != "1" else "2") + bare[1:],
        "swapped": bare[:swapped] + bare[swapped + 1] + bare[swapped] + bare[swapped + 2 :],
        "check": bare[:-1] + ("0" if bare[-1] != "0" else "1"),
        "letter-u": "u" + bare[1:],
        "point": "." + bare[1:],
        "kelvin": shown.replace(shown[0], "\u212a", 1),
        "bits": bare[:25] + pad + bare[26:],
    }
    out += [bad(f"export-code-{name}", "EXP-005", "export-code-read", {"text": t}, FORMAT) for name, t in wrong.items()]
    out.append(bad("export-code-short", "EXP-005", "export-code", {"bytes": RAW[1:].hex()}, FORMAT))
    return out


def phrases() -> list[Case]:
    right = {
        "plain": WORDS,
        "blanks": "\t lantern  orbit\r\nmussel cobalt   thistle ",
        "composed": "Küche Öl Straße Ærø Ñandú",
        "decomposed": "Ku\u0308che O\u0308l Straße Ærø N\u0303andu\u0301",
        "wide-blank": "one\u00a0two three four five six\u3000seven",
    }
    out = [
        good(f"export-words-{name}", "EXP-006", "export-words", {"text": t}, export.read_words(t).data.hex())
        for name, t in right.items()
    ]
    wrong = {
        "four": "lantern orbit mussel cobalt",
        "empty": "",
        "blank": "  \t ",
        "no-break": "one\u00a0two\u00a0three\u00a0four\u00a0five",
        "long": " ".join(["x" * 204] * 5 + ["y"]),
    }
    out += [bad(f"export-words-{n}", "EXP-006", "export-words", {"text": t}, WEAK) for n, t in wrong.items()]
    return out


def some_keys(count: int, label: str) -> list[EpochKey]:
    draw = rng(label)
    return [epoch.derive(draw(32), draw(32), SPH, n) for n in range(1, count + 1)]


def forged(head: dict[str, Any], plain: bytes, **costs: int) -> str:
    """A text like ours, sealed under RAW at the costs its header names."""
    salt, nonce = b64d(head["kdf"]["salt"]), b64d(head["n"])
    paid = {"memory_kib": head["kdf"]["m"], "passes": head["kdf"]["t"], "lanes": head["kdf"]["p"], **costs}
    both = kdf(crypto.argon2id(RAW, salt, **paid), salt, "export", lp(head["sph"]), 64)
    begin = export.PREFIX + b64e(json_emit({**head, "cm": b64e(both[32:])}))
    return f"{begin}.{b64e(crypto.aead_seal(both[:32], nonce, plain, begin.encode()))}"


def texts() -> list[Case]:
    out = []
    text = ""
    shown = export.show_code(RAW)
    for name, count, by, typed in (("code", 3, "code", shown), ("words", 1, "words", WORDS)):
        draw = rng(f"export-{name}")
        salt, nonce = draw(16), draw(12)
        keys = some_keys(count, f"export-keys-{name}")
        parts = iter([salt, nonce])
        secret = export.read_code(typed) if by == "code" else export.read_words(typed)
        made = export.seal(keys, secret, iat=NOW, rng=lambda n: next(parts))  # noqa: B023
        rows = [[key.n, key.secret.hex(), key.prev.hex()] for key in keys]
        given: Case = {"sph": SPH, "keys": rows, "by": by, "typed": typed, "iat": NOW}
        given |= {"salt": salt.hex(), "nonce": nonce.hex()}
        out.append(good(f"export-seal-{name}", "EXP-001 EXP-002 EXP-003 EXP-004", "export-seal", given, made))
        value = [[key.n, key.secret.hex()] for key in keys]
        opened = {"text": made, "typed": typed}
        out.append(good(f"export-open-{name}", "EXP-003 EXP-004 EXP-007", "export-open", opened, value))
        text = text or made
    keys = some_keys(3, "export-keys-code")
    claim = {"sph": SPH, "by": "code", "eps": [1, 2, 3], "kcs": [key.kc.hex() for key in keys], "iat": NOW}
    out.append(good("export-parse", "EXP-001 EXP-002", "export-parse", {"text": text}, claim))
    folded = "\r\n".join(text[at : at + 60] for at in range(0, len(text), 60)) + "\n"
    out.append(good("export-parse-folded", "EXP-001", "export-parse", {"text": folded}, claim))

    def no(name: str, rule: str, changed: str, code: str, typed: str = shown) -> None:
        out.append(bad(f"export-{name}", rule, "export-open", {"text": changed, "typed": typed}, code))

    no("wrong-code", "EXP-007", text, VAULT, export.show_code(bytes(16)))
    no("wrong-words", "EXP-007", _words_text(), VAULT, WORDS.replace("orbit", "orbits"))
    no("mistyped-code", "EXP-005", text, FORMAT, shown[:-1])
    no("words-for-a-code", "EXP-005", text, FORMAT, WORDS)
    no("code-for-words", "EXP-006", _words_text(), WEAK, shown)

    packed, ct = text.removeprefix(export.PREFIX).split(".")
    head, raw = json_parse(b64d(packed)), b64d(ct)

    def with_head(**changes: Any) -> str:
        return f"{export.PREFIX}{b64e(json_emit({**head, **changes}))}.{ct}"

    for at in (0, 95, len(raw) - 1):
        no(f"flip-{at}", "EXP-007", f"{export.PREFIX}{packed}.{b64e(flip(raw, at))}", DECRYPT)
    no("other-iat", "EXP-004", with_head(iat=NOW + 1), DECRYPT)
    no("other-kcs", "EXP-004", with_head(kcs=[head["kcs"][n] for n in (1, 0, 2)]), DECRYPT)
    no("other-eps", "EXP-004", with_head(eps=[1, 2, 4]), DECRYPT)
    no("other-nonce", "EXP-004", with_head(n=b64e(flip(b64d(head["n"]), 0))), DECRYPT)
    no("other-sphere", "EXP-003", with_head(sph=SPH[:-1] + "M"), VAULT)
    no("other-salt", "EXP-003", with_head(kdf={**head["kdf"], "salt": b64e(bytes(16))}), VAULT)
    no("other-cm", "EXP-007", with_head(cm=b64e(flip(b64d(head["cm"]), 31))), VAULT)
    no("cut-16", "EXP-002", text[:-22], FORMAT)
    no("cut-1", "EXP-001", text[:-1], FORMAT)
    no("cut-half", "EXP-001", text[: len(text) // 2], FORMAT)
    no("cut-head", "EXP-001", text[20:], FORMAT)
    no("empty", "EXP-001", "", FORMAT)
    no("prefix", "EXP-001", "sphsec2." + text[8:], FORMAT)
    no("upper", "EXP-001", "SPHSEC1." + text[8:], FORMAT)
    no("three-parts", "EXP-001", f"{text}.AA", FORMAT)
    no("letter", "EXP-001", text[:60] + "ä" + text[61:], FORMAT)
    no("wide-blank", "EXP-001", text[:60] + "\u00a0" + text[60:], FORMAT)
    no("padded", "EXP-001", text + "=", FORMAT)
    for name, change in (
        ("v", {"v": 2}),
        ("by", {"by": "pin"}),
        ("foreign", {"x": 1}),
        ("no-keys", {"eps": [], "kcs": []}),
        ("eps-more", {"eps": [1, 2, 3, 4]}),
        ("eps-twice", {"eps": [1, 2, 2]}),
        ("eps-down", {"eps": [3, 2, 1]}),
        ("eps-zero", {"eps": [0, 1, 2]}),
        ("kcs-less", {"kcs": head["kcs"][:2]}),
        ("sph", {"sph": "sp-x"}),
        ("salt-short", {"kdf": {**head["kdf"], "salt": b64e(bytes(15))}}),
        ("kdf-foreign", {"kdf": {**head["kdf"], "x": 1}}),
        ("kdf-less", {"kdf": {"alg": "argon2id", "m": 65536, "t": 3, "p": 1}}),
    ):
        no(f"head-{name}", "EXP-002", with_head(**change), FORMAT)
    plain = b"".join(key.secret for key in keys)
    # Each of these opens at the costs it names, so nothing but the refusal keeps it out.
    for name, weaker in (("memory", {"m": 64}), ("passes", {"t": 1}), ("lanes", {"p": 4}), ("stronger", {"t": 4})):
        no(f"costs-{name}", "EXP-002", forged({**head, "kdf": {**head["kdf"], **weaker}}, plain), DOWNGRADE)
    for name, change in (("alg", {"alg": "argon2i"}), ("md5", {"alg": "md5"}), ("huge", {"m": 2**40})):
        no(f"costs-{name}", "EXP-002", with_head(kdf={**head["kdf"], **change}), DOWNGRADE)
    return out


def _words_text() -> str:
    parts = iter([bytes(16), bytes(12)])
    return export.seal(some_keys(1, "export-said"), export.read_words(WORDS), iat=NOW, rng=lambda n: next(parts))


def recognised() -> list[Case]:
    ada = Person("ada", "p384")
    sphere = Sphere(ada, policy=Policy(kem_min="p384"), label="export")
    for _ in range(2):
        sphere.do(ada, compose.Rotate())
    sph, log = sphere.state.sph, given_log(sphere)
    short = {**log, "entries": log["entries"][: sphere.history.epoch(3).seq]}
    right = {n: key.secret for n, key in sphere.keys.items()}
    lie = {**right, 2: bytes(32)}
    swapped = {1: right[2], 2: right[1], 3: right[3]}
    out = []
    for name, given, found, where in (
        ("all", log, right, sph),
        ("some", log, {2: right[2]}, sph),
        ("lie", log, lie, sph),
        ("swapped", log, swapped, sph),
        ("beyond-the-log", short, right, sph),
        ("not-begun", log, {9: bytes(32)}, sph),
        ("short", log, {1: right[1][:-1]}, sph),
    ):
        said = export.recognise(found, _history(sphere, len(given["entries"])), where)
        value = {
            "keys": [[key.n, key.secret.hex()] for key in said.keys],
            "unknown": list(said.unknown),
            "refused": list(said.refused),
        }
        asked = {**given, "sph": where, "found": [[n, secret.hex()] for n, secret in found.items()]}
        out.append(good(f"export-recognise-{name}", "EXP-008 EPO-003", "export-recognise", asked, value))
    return out


def _history(sphere: Sphere, length: int) -> Any:
    from cloister.protocol import entry as entries
    from cloister.protocol import machine
    from cloister.protocol.history import History

    state = machine.genesis(entries.decode(sphere.entries[0]))
    log = History(state)
    for compact in sphere.entries[1:length]:
        state = machine.apply(state, entries.decode(compact), sphere.attach)
        log.append(state)
    return log


def cases() -> list[Case]:
    return codes() + phrases() + texts() + recognised()
