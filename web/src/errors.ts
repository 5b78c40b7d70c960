/**
 * The error taxonomy, as in `src/cloister/errors.py`: E_ from the relay, C_ from our own checks, L_ from this place.
 *
 * Knows codes. Texts shown to people live in words.json by code. `detail` is for the log, never a secret.
 * Spec: ERR-001, ERR-002, ERR-004.
 */

export class CloisterError extends Error {
  static readonly code: string = "L_INTERNAL";
  readonly detail: string;
  readonly retryAfter: number | undefined;
  readonly data: Record<string, unknown>;

  constructor(detail = "", options: { retryAfter?: number; data?: Record<string, unknown> } = {}) {
    super(detail);
    this.name = new.target.name;
    this.detail = detail;
    this.retryAfter = options.retryAfter;
    this.data = options.data ?? {};
  }

  get code(): string {
    return (this.constructor as typeof CloisterError).code;
  }
}

/** A refusal or failure of the relay. */
export class RelayError extends CloisterError {}
export class AuthFailed extends RelayError { static override readonly code = "E_AUTH"; }
export class RateLimited extends RelayError { static override readonly code = "E_RATE"; }
export class Forbidden extends RelayError { static override readonly code = "E_FORBIDDEN"; }
export class StaleHead extends RelayError { static override readonly code = "E_STALE_HEAD"; }
export class StaleEpoch extends RelayError { static override readonly code = "E_STALE_EPOCH"; }
export class IncompleteWraps extends RelayError { static override readonly code = "E_INCOMPLETE_WRAPS"; }
export class BadFormat extends RelayError { static override readonly code = "E_BAD_FORMAT"; }
export class VersionTooOld extends RelayError { static override readonly code = "E_VERSION"; }
export class TooLarge extends RelayError { static override readonly code = "E_TOO_LARGE"; }
export class Conflict extends RelayError { static override readonly code = "E_CONFLICT"; }
export class Busy extends RelayError { static override readonly code = "E_BUSY"; }
export class Internal extends RelayError { static override readonly code = "E_INTERNAL"; }

/** A check on received or stored bytes failed. Local only: never sent to the relay (ERR-004). */
export class CheckFailed extends CloisterError {}
export class FormatError extends CheckFailed { static override readonly code = "C_FORMAT"; }
export class SignatureInvalid extends CheckFailed { static override readonly code = "C_SIG"; }
export class DecryptFailed extends CheckFailed { static override readonly code = "C_DECRYPT"; }
export class KeyUnknown extends CheckFailed { static override readonly code = "C_KEY_UNKNOWN"; }
export class CommitmentMismatch extends CheckFailed { static override readonly code = "C_KC_MISMATCH"; }
export class NotMember extends CheckFailed { static override readonly code = "C_NOT_MEMBER"; }
export class LogInvalid extends CheckFailed { static override readonly code = "C_LOG_INVALID"; }
export class LogFork extends CheckFailed { static override readonly code = "C_LOG_FORK"; }
export class LogRollback extends CheckFailed { static override readonly code = "C_LOG_ROLLBACK"; }
export class Gap extends CheckFailed { static override readonly code = "C_GAP"; }
export class Replay extends CheckFailed { static override readonly code = "C_REPLAY"; }
export class Downgrade extends CheckFailed { static override readonly code = "C_DOWNGRADE"; }
export class KeyChanged extends CheckFailed { static override readonly code = "C_KEY_CHANGED"; }
export class VaultError extends CheckFailed { static override readonly code = "C_VAULT"; }
export class Expired extends CheckFailed { static override readonly code = "C_EXPIRED"; }

/** This machine, this person or this caller. */
export class LocalError extends CloisterError {}
export class UsageError extends LocalError { static override readonly code = "L_USAGE"; }
/** `data.reason`: short, long, form or common. */
export class WeakPassword extends LocalError { static override readonly code = "L_PASSWORD"; }
/** `data.reason`: form or common. */
export class WeakPin extends LocalError { static override readonly code = "L_PIN"; }
export class NotFound extends LocalError { static override readonly code = "L_NOT_FOUND"; }
export class Locked extends LocalError { static override readonly code = "L_LOCKED"; }
export class Unreachable extends LocalError { static override readonly code = "L_UNREACHABLE"; }
export class Queued extends LocalError { static override readonly code = "L_QUEUED"; }
export class DiskTrouble extends LocalError { static override readonly code = "L_DISK"; }
export class AlreadyRunning extends LocalError { static override readonly code = "L_ONE_WRITER"; }
/** A copy of this device has spoken: it signs nothing more (CLT-014). */
export class DeviceRetired extends LocalError { static override readonly code = "L_RETIRED"; }
/** This device was removed from its account (CLT-007). */
export class DeviceRevoked extends LocalError { static override readonly code = "L_REVOKED"; }
/** Another device made a new master key that has not arrived here. */
export class MasterKeyDue extends LocalError { static override readonly code = "L_MASTER_KEY"; }

const RELAY = [
  AuthFailed, RateLimited, Forbidden, StaleHead, StaleEpoch, IncompleteWraps, BadFormat, VersionTooOld, TooLarge,
  Conflict, Busy, Internal,
];
const HERE = [
  FormatError, SignatureInvalid, DecryptFailed, KeyUnknown, CommitmentMismatch, NotMember, LogInvalid, LogFork, LogRollback,
  Gap, Replay, Downgrade, KeyChanged, VaultError, Expired, UsageError, WeakPassword, WeakPin, NotFound, Locked, Unreachable,
  Queued, DiskTrouble, AlreadyRunning, DeviceRetired, DeviceRevoked, MasterKeyDue,
];

/** A part of the program that is loaded when it is first used. Throws Unreachable when it did not come. */
export async function part<T>(loading: Promise<T>): Promise<T> {
  try {
    return await loading;
  } catch {
    throw new Unreachable("a part of the program did not load");
  }
}

/** The error of a code, as it was on the other side of a border; an unknown code is L_INTERNAL. */
export function errorOf(code: string, detail: string, options: ConstructorParameters<typeof CloisterError>[1]): CloisterError {
  const kind = [...RELAY, ...HERE].find((one) => one.code === code) ?? CloisterError;
  return new kind(detail, options);
}

/** Build the RelayError for a relay's JSON body; unknown codes become E_INTERNAL (ERR-002). */
export function relayError(body: Record<string, unknown>): RelayError {
  const { code, retry_after: retryAfter, ...data } = body;
  const kind = RELAY.find((one) => one.code === code) ?? Internal;
  return new kind("", typeof retryAfter === "number" ? { retryAfter, data } : { data });
}
