/**
 * The drawings, as paths on a square of twenty: strokes of one and a half, no fills but where a dot is needed.
 *
 * Closed arch: encrypted. Dashed ring: open. Waves: off the grid. Padlock: this device is locked, and nothing else.
 * Hatching: not readable yet. Octagon: stopped, and nothing else.
 */

export interface Drawing { readonly d: string; readonly dash?: string }

export const DRAWINGS = {
  encrypted: { d: "M4.5 16.5V9.5a5.5 5.5 0 0 1 11 0v7z" },
  open: { d: "M10 3.5a6.5 6.5 0 1 1-.01 0z", dash: "3 2.1" },
  grid: { d: "M3.5 8c2.2-2.4 4.3-2.4 6.5 0s4.3 2.4 6.5 0M3.5 12.5c2.2-2.4 4.3-2.4 6.5 0s4.3 2.4 6.5 0" },
  unreadable: { d: "M4 4h12v12H4zM4 8l4-4M4 12l8-8M4 16 16 4M8 16l8-8M12 16l4-4" },
  stop: { d: "M7 3h6l4 4v6l-4 4H7l-4-4V7zM10 6.5v4.5M10 13.6v.1" },
  locked: { d: "M5 9h10v8H5zM7 9V6.5a3 3 0 0 1 6 0V9" },
  waiting: { d: "M10 3a7 7 0 1 1-.01 0zM10 6v4l2.5 1.8" },
  inbox: { d: "M3 11.5 5.5 4h9l2.5 7.5V16H3zM3 11.5h4.2a2.8 2.8 0 0 0 5.6 0H17" },
  spheres: { d: "M3 16v-5a3.2 3.2 0 0 1 6.4 0v5zM11 16V8a3 3 0 0 1 6 0v8z" },
  you: { d: "M10 10.5a3.3 3.3 0 1 1 .01 0zM3.8 17c.6-3 3-4.3 6.2-4.3s5.6 1.3 6.2 4.3" },
  people: {
    d: "M7.5 10a2.8 2.8 0 1 1 .01 0zM2.5 16.5c.3-2.8 2.2-4 5-4s4.7 1.2 5 4M12.8 4.7a2.7 2.7 0 0 1 0 5M14.3 12.7c2 .4 3 2 3.2 3.8",
  },
  settings: { d: "M3 6h6M13 6h4M11 4v4M3 14h2M9 14h8M7 12v4M3 10h10M17 10h0M15 8v4" },
  search: { d: "M9 3.5a5.5 5.5 0 1 1-.01 0zM13 13l4 4" },
  add: { d: "M10 4v12M4 10h12" },
  close: { d: "M5 5l10 10M15 5 5 15" },
  back: { d: "M12.5 4 6.5 10l6 6" },
  forward: { d: "M7.5 4l6 6-6 6" },
  more: { d: "M4.5 9.5a.5.5 0 1 1-.01 0zM10 9.5a.5.5 0 1 1-.01 0zM15.5 9.5a.5.5 0 1 1-.01 0z" },
  down: { d: "M5 7.5l5 5 5-5" },
  send: { d: "M3.5 10h12M11 5l5 5-5 5" },
  check: { d: "M4 10.5 8 14.5 16 5.5" },
  copy: { d: "M7 7V3.5h9.5V13H13M3.5 7H13v9.5H3.5z" },
  attach: { d: "M14.5 9.5 9 15a3.2 3.2 0 0 1-4.5-4.5l6.3-6.3a2.2 2.2 0 0 1 3.1 3.1l-6 6a1.1 1.1 0 0 1-1.6-1.6l5-5" },
  comment: { d: "M3.5 4.5h13v9H9L5.5 16.5v-3h-2z" },
  react: { d: "M10 3.2a6.8 6.8 0 1 1-.01 0zM7.5 8.3v.1M12.5 8.3v.1M7 11.8c1.6 2 4.4 2 6 0" },
  edit: { d: "M4 16l.7-3.3L13.3 4.1l2.6 2.6-8.6 8.6z" },
  remove: { d: "M4 6h12M8 6V4h4v2M5.5 6l.8 10.5h7.4L14.5 6M8.5 9v4.5M11.5 9v4.5" },
  save: { d: "M10 3v9M6 8.5l4 4 4-4M4 16.5h12" },
  file: { d: "M5 3h6.5L15 6.5V17H5zM11 3v4h4" },
  security: { d: "M10 3l6 2.2v4.3c0 3.7-2.4 6.2-6 7.5-3.6-1.3-6-3.8-6-7.5V5.2z" },
  offline: {
    d: "M3 3l14 14M5 12.5a5 5 0 0 1 3-2M3 9a9 9 0 0 1 3.2-2.1M17 9a9 9 0 0 0-6.5-2.8M15 12.5a5 5 0 0 0-1.6-1.4M10 15.5v.1",
  },
  help: { d: "M10 3.2a6.8 6.8 0 1 1-.01 0zM8 8a2 2 0 1 1 2.8 2c-.6.3-.8.7-.8 1.4M10 13.8v.1" },
} as const satisfies Record<string, Drawing>;

export type GlyphName = keyof typeof DRAWINGS;
