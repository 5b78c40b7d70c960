/**
 * The password function, in WebAssembly: loaded when a password or a PIN is first worked on (CRY-004).
 */

export { argon2id } from "hash-wasm";
