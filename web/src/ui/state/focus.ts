/**
 * Where the focus goes when the page changes: to its heading, except on the first page, which nobody asked for by key.
 */

let first = true;

/** For a heading: takes the focus with the frame that shows it, unless somebody already types. */
export function heading(node: HTMLElement): () => void {
  const frame = first ? undefined : requestAnimationFrame(() => {
    const here = document.activeElement;
    const typing = here instanceof HTMLInputElement || here instanceof HTMLTextAreaElement || here?.closest("dialog") != null;
    if (!typing) node.focus({ preventScroll: true });
  });
  first = false;
  return () => frame !== undefined && cancelAnimationFrame(frame);
}
