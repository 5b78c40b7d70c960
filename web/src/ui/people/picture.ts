/**
 * A drawing of the page as a picture file. Works without a network and leaves nothing behind.
 */

const SIDE = 1024;

/** A PNG of an SVG drawing, `SIDE` pixels wide. */
export async function png(drawing: SVGSVGElement): Promise<Blob> {
  const text = new XMLSerializer().serializeToString(drawing);
  const address = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  try {
    const image = new Image(SIDE, SIDE);
    image.src = address;
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
    canvas.getContext("2d")?.drawImage(image, 0, 0, SIDE, SIDE);
    return await new Promise((done, failed) => {
      canvas.toBlob((blob) => (blob === null ? failed(new Error("picture")) : done(blob)), "image/png");
    });
  } finally {
    URL.revokeObjectURL(address);
  }
}

/** Hands a file to the person under a name. */
export function save(blob: Blob, name: string): void {
  const address = URL.createObjectURL(blob);
  Object.assign(document.createElement("a"), { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
