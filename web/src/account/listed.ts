/**
 * The first guesses of anybody: passwords and PINs nobody may choose (PPF-003, VLT-006). Loaded when one is chosen.
 */

import common from "../../../src/cloister/account/common.json" with { type: "json" };

export const PASSWORDS: ReadonlySet<string> = new Set(common.passwords);
export const PINS: ReadonlySet<string> = new Set(common.pins);
