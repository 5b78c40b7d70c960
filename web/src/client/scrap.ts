/**
 * One small secret in a file that is overwritten where it lies. A database keeps what was deleted from it until it tidies
 * up, and so would keep the key of a session that has ended; this file has its bytes replaced before it is let go.
 *
 * Only a worker may write so. Where the browser has no such files (a private window, an older one) nothing is kept, and
 * the next page asks for the password. Spec: WEB-013.
 */

interface Access {
  getSize(): number;
  read(into: Uint8Array, where: { at: number }): number;
  write(from: Uint8Array, where: { at: number }): number;
  flush(): void;
  close(): void;
}
type File = FileSystemFileHandle & { createSyncAccessHandle?: () => Promise<Access> };

/** Run `work` on the file of that name; undefined where there is none to be had. */
async function within<T>(name: string, create: boolean, work: (access: Access) => T): Promise<T | undefined> {
  let access: Access | undefined;
  try {
    const root = await navigator.storage.getDirectory();
    const file: File = await root.getFileHandle(name, { create });
    access = await file.createSyncAccessHandle?.();
  } catch {
    return undefined;
  }
  if (access === undefined) return undefined;
  try {
    return work(access);
  } finally {
    access.close();
  }
}

/** What was kept, or undefined when it was shredded or never there. */
export async function recall(name: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  return within(name, false, (access) => {
    const found = new Uint8Array(access.getSize());
    access.read(found, { at: 0 });
    return found.some((byte) => byte !== 0) ? found : undefined;
  });
}

/** Keep `value` in the place of what was there, which is to be of the same length; without it, put zeros there. */
export async function replace(name: string, value: Uint8Array | undefined): Promise<void> {
  await within(name, value !== undefined, (access) => {
    access.write(value ?? new Uint8Array(access.getSize()), { at: 0 });
    access.flush();
  });
}
