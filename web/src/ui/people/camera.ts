/**
 * Reading a square with the camera, where the browser can do so by itself. No picture is kept or sent.
 */

interface Found { readonly rawValue: string }
interface Detector { detect(source: HTMLVideoElement): Promise<readonly Found[]> }
type Detectors = new (options: { formats: string[] }) => Detector;

function maker(): Detectors | undefined {
  return (globalThis as { BarcodeDetector?: Detectors }).BarcodeDetector;
}

export function cameras(): boolean {
  return maker() !== undefined && navigator.mediaDevices !== undefined;
}

/** Shows the camera in `video` until a square is read or the signal ends it; answers its text. */
export async function read(video: HTMLVideoElement, signal: AbortSignal): Promise<string | undefined> {
  const Maker = maker();
  if (Maker === undefined) return undefined;
  const detector = new Maker({ formats: ["qr_code"] });
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  try {
    video.srcObject = stream;
    await video.play();
    while (!signal.aborted) {
      const found = (await detector.detect(video))[0];
      if (found !== undefined) return found.rawValue;
      await new Promise((next) => requestAnimationFrame(next));
    }
    return undefined;
  } finally {
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
  }
}
