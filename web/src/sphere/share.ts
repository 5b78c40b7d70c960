/**
 * Key shares: one epoch secret for one device, sealed to its receiving key and signed by the sender.
 *
 * Spec: SHR-001 to SHR-007.
 */

import { type Bytes, type Rng, aeadOpen, aeadSeal, concat, hpkeOpen, hpkeSeal, rsaOpen, rsaSeal } from "../crypto.ts";
import { CheckFailed, DecryptFailed, FormatError, NotMember } from "../errors.ts";
import { b64d, b64e, kdf, lp } from "../protocol/encoding.ts";
import type { History } from "../protocol/history.ts";
import { type Envelope, type Signer, decode, sign, verifyEd25519 } from "../protocol/jws.ts";
import { rank } from "../protocol/roles.ts";
import type { Device, Epoch } from "../protocol/state.ts";
import { type EpochKey, check } from "./epoch.ts";

const DAY = 86_400;
const NONE = new Uint8Array(0);
const RSA_BYTES = 512;

/** A person and one device. */
export interface Party {
  id: string;
  dv: string;
}

/** Shares made side by side: the platform works on several while this thread prepares the next. */
const AT_ONCE = 32;

/** What a share is bound to (SHR-001). */
export function info(epoch: Epoch, sph: string, sender: Party, recipient: Party, kem: string): Bytes {
  return lp("sph/1 keyshare", sph, epoch.n, sender.id, sender.dv, recipient.id, recipient.dv, kem, epoch.digest);
}

/** The key of one share to an RSA device; it is used once, hence the fixed nonce (SHR-007). */
const rsaKey = (z: Uint8Array, bound: Uint8Array): Bytes => kdf(z, NONE, "rsa-kem", bound, 32);

/** A secret for one receiving key, bound to `bound` (SHR-001, SHR-007). Throws FormatError. */
export async function sealTo(kem: string, de: Uint8Array, bound: Uint8Array, secret: Uint8Array, rng: Rng): Promise<Bytes> {
  if (kem !== "rsa4096") return hpkeSeal(kem, de, bound, secret);
  const z = rng(32);
  return concat(await rsaSeal(de, z), await aeadSeal(rsaKey(z, bound), new Uint8Array(12), secret, NONE));
}

async function openWith(kem: string, secret: Uint8Array, bound: Uint8Array, ct: Uint8Array): Promise<Bytes> {
  if (kem !== "rsa4096") return hpkeOpen(kem, secret, bound, ct);
  const z = await rsaOpen(secret, ct.subarray(0, RSA_BYTES));
  return aeadOpen(rsaKey(z, bound), new Uint8Array(12), ct.subarray(RSA_BYTES), NONE);
}

/** A share for a device of the log (SHR-002, SHR-003). Throws CommitmentMismatch, FormatError. */
export async function seal(
  key: EpochKey,
  epoch: Epoch,
  sender: Party,
  signer: Signer,
  recipient: Device,
  iat: number,
  rng: Rng,
): Promise<string> {
  const [made] = await sealMany(key, epoch, sender, signer, [recipient], iat, rng);
  return made!.jws;
}

/** A share for each device, in the order given (SHR-001 to SHR-003). Throws CommitmentMismatch, FormatError. */
export async function sealMany(
  key: EpochKey,
  epoch: Epoch,
  sender: Party,
  signer: Signer,
  recipients: readonly Device[],
  iat: number,
  rng: Rng,
): Promise<{ dv: string; jws: string }[]> {
  check(key.secret, epoch, key.sph);
  const one = async ({ dv, owner: id, kem, de }: Device): Promise<{ dv: string; jws: string }> => {
    const sealing = sealTo(kem, de, info(epoch, key.sph, sender, { id, dv }, kem), key.secret, rng);
    const jti = b64e(rng(16));
    const body = { k: "share", sph: key.sph, iat, jti, n: epoch.n, idR: id, dvR: dv, kem, ct: b64e(await sealing) };
    return { dv, jws: await sign("sph-p2p+1", { kid: sender.dv }, body, signer) };
  };
  const made = [];
  for (let at = 0; at < recipients.length; at += AT_ONCE) {
    made.push(...(await Promise.all(recipients.slice(at, at + AT_ONCE).map(one))));
  }
  return made;
}

interface Share {
  k: string;
  sph: string;
  n: number;
  idR: string;
  dvR: string;
  kem: string;
  ct: string;
}

/** Whether a letter is a share of an epoch this device made; nothing is verified. */
function isOwnEpoch(envelope: Envelope, log: History, dv: string): boolean {
  try {
    const { k, n } = envelope.body as { k: string; n: number };
    return k === "share" && log.epoch(n).by === dv;
  } catch (error) {
    if (error instanceof CheckFailed) return false;
    throw error;
  }
}

/** The sender, up to the signature (SHR-005). Throws KeyUnknown, NotMember, SignatureInvalid. */
async function checkAuthor(envelope: Envelope, log: History): Promise<Party> {
  const dv = envelope.header["kid"] as string;
  const sender = { id: log.ownerOf(dv), dv };
  if (log.activeSince(dv) === undefined && !isOwnEpoch(envelope, log, dv)) throw new NotMember("SHR-005");
  await verifyEd25519(envelope, log.keyOf(dv));
  return sender;
}

/** Open with the first of my receiving secrets that fits (SHR-004, SHR-007). Throws DecryptFailed. */
export async function openAny(kem: string, secrets: readonly Uint8Array[], bound: Uint8Array, ct: Uint8Array): Promise<Bytes> {
  for (const secret of secrets) {
    try {
      return await openWith(kem, secret, bound, ct);
    } catch (error) {
      if (!(error instanceof DecryptFailed)) throw error;
    }
  }
  throw new DecryptFailed("SHR-004");
}

/** The epoch key a share carries for this device (SHR-004, SHR-005, EPO-003). */
export async function open(
  compact: string,
  log: History,
  me: Party,
  kem: string,
  secrets: readonly Uint8Array[],
  sph: string,
): Promise<EpochKey> {
  const envelope = decode(compact, "sph-p2p+1");
  const sender = await checkAuthor(envelope, log);
  const share = envelope.body as unknown as Share;
  if (share.k !== "share") throw new FormatError("SHR-005");
  if (share.sph !== sph || share.idR !== me.id || share.dvR !== me.dv || share.kem !== kem) throw new DecryptFailed("SHR-004");
  const epoch = log.epoch(share.n);
  const secret = await openAny(kem, secrets, info(epoch, sph, sender, me, kem), b64d(share.ct));
  return check(secret, epoch, sph);
}

/** The epochs a program gives a device without a person's word (SHR-006). */
export function granted(log: History, member: string, dv: string): number[] {
  if (log.activeSince(dv) === undefined || log.ownerOf(dv) !== member) return [];
  const epochs = log.epochs();
  const { history } = log.policyAt(log.seq);
  const asMember = (one: Epoch): boolean => rank(log.roleAt(member, one.seq)) >= 0;
  const kept = ((): Epoch[] => {
    if (history === "all") return epochs;
    if (history === "none") return epochs.filter((one) => log.active(dv, one.seq));
    const own = epochs.filter(asMember);
    if (history === "since-join" || own.length === 0) return own;
    const first = own[0]!;
    const since = first.iat - Number(history.slice("days:".length)) * DAY;
    return epochs.filter((one, at) => asMember(one) || (one.n < first.n && epochs[at + 1]!.iat >= since));
  })();
  return kept.map((one) => one.n);
}
