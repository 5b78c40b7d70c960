import * as credentials from "../../src/account/credentials.ts";
import * as keys from "../../src/account/keys.ts";
import { parse } from "../../src/account/slot_names.ts";
import * as slots from "../../src/account/slots.ts";
import { openState } from "../../src/account/state_slot.ts";
import { sha256 } from "../../src/crypto.ts";
import { type Given, type Op, hex, unhex } from "./index.ts";

const device = (given: Given): Promise<keys.DeviceKeys> =>
  keys.device(unhex(given.dk_seed), given.kem, unhex(given.de_seed));

export const OPS: Record<string, Op> = {
  "unwrap-mk": async ({ kek, account, ver, mkv, wrapped }) =>
    hex(await keys.unwrapMk(unhex(kek), account, ver, mkv, unhex(wrapped))),
  "unwrap-rk": async ({ kek, account, ver, wrapped }) =>
    hex(await keys.unwrapRk(unhex(kek), account, ver, unhex(wrapped))),
  "identity-scalar": ({ random }) => {
    const ik = keys.identityScalar(unhex(random));
    return { ik: hex(ik), id: keys.accountId(ik) };
  },
  "open-ik": async ({ rk, account, jwk, slot }) => hex(await slots.openIk(unhex(rk), account, jwk, unhex(slot))),
  "open-epoch": async ({ mk, account, sph, n, slot }) =>
    hex(await slots.openEpoch(unhex(mk), account, sph, n, unhex(slot))),
  masters: async ({ account, mk, mkv, slots: held }) => {
    const given = new Map(Object.entries(held as Record<string, string>).map(([n, slot]) => [Number(n), unhex(slot)]));
    const found = await slots.openMasters(account, unhex(mk), mkv, given);
    return Object.fromEntries([...found].map(([n, key]) => [n, hex(key)]));
  },
  "open-state": async ({ mk, account, ctr, slot, devices, pin }) => {
    const active = new Map(Object.entries(devices as Record<string, string>).map(([dv, dk]) => [dv, unhex(dk)]));
    const seen = pin && { ctr: pin[0], digest: unhex(pin[1]) };
    const state = await openState(unhex(mk), account, ctr, unhex(slot), active, seen);
    const { dv, content, provisional } = state;
    return { ctr: state.ctr, digest: hex(state.digest), prev: hex(state.prev), dv, content, provisional };
  },
  device: async (given) => {
    const made = await device(given);
    return { dv: made.dv, dk: hex(made.dk), de: hex(sha256(made.de)), packed: hex(keys.packDevice(made)) };
  },
  "open-mk-share": async (given) => {
    const { account, sender, mkv, present, ct } = given;
    const opened = await credentials.openMkShare(account, sender, await device(given), { mkv, ct: unhex(ct) }, present);
    return { mk: hex(opened.mk), mkv: opened.mkv };
  },
  "slot-name": ({ name }) => {
    const { kind, sph, n, createOnly, passwordOnly } = parse(name);
    return [kind, sph, n, createOnly, passwordOnly];
  },
};
