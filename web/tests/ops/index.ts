/**
 * Operations of the shared vectors, collected from the files beside this one: one file per area, exporting
 * `OPS: Record<string, Op>`, as `tests/vectors/ops_<area>.py` does in Python. vectors/README.md says what each takes.
 */

export type Given = any;
export type Op = (given: Given) => unknown;

export function hex(data: Uint8Array): string {
  return Buffer.from(data).toString("hex");
}

export function unhex(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(text, "hex"));
}

const modules = import.meta.glob<{ OPS?: Record<string, Op> }>("./*.ts", { eager: true });

export const OPS: ReadonlyMap<string, Op> = new Map(
  Object.entries(modules).flatMap(([path, module]) => (path === "./index.ts" ? [] : Object.entries(module.OPS ?? {}))),
);
