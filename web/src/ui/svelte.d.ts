/**
 * A component as TypeScript sees it where only types are checked.
 */

declare module "*.svelte" {
  import type { Component } from "svelte";
  const component: Component;
  export default component;
}

declare module "*?worker&url" {
  const address: string;
  export default address;
}
