import { type Area, arrow, box, outline, page, text, zoom } from "./picture.ts";

/** Draws an envelope: its bytes, what a rewrap changes of them, and how one data key leads from a recipient to the chunks. docs/format.md §1, §3, §4, §6 */
export function envelopePicture(): string {
  return page("An envelope: header, body, and what a rewrap changes", 492, [...bytes(), ...record(), ...chunk(), ...keys(), ...legend()]);
}

function bytes(): readonly string[] {
  return [
    outline(HEADER, "header"),
    part(HEAD, "provider", "9E 01 H", "8 bytes"),
    part(RECORD, "core", "key record", "who can open it"),
    part(PADDING, "provider", "padding", "zeros, room"),
    outline(BODY, "body"),
    part(SALT, "core", "salt", "24"),
    part(COMMITMENT, "core", "commitment", "32"),
    ...CHUNKS.map(([area, name, words]) => part(area, "core", name, words)),
  ];
}

function record(): readonly string[] {
  return [
    zoom(RECORD, RECORD_OPEN),
    outline(RECORD_OPEN, "key record, CBOR"),
    part(SUITE, "core", "suite", "1"),
    part(KEY_COMMIT, "core", "keyCommit", "32 bytes"),
    ...RECIPIENTS.map((area, at) => line(area, "provider", `recipient ${at + 1}`, "provider, key id, alg, wrapped data key")),
    text(RECIPIENTS[1].x + 14, RECIPIENTS[1].y + 51, "small", "… up to 16: each can open it alone"),
  ];
}

function chunk(): readonly string[] {
  return [
    zoom(CHUNKS[1][0], CHUNK_OPEN),
    outline(CHUNK_OPEN, "chunk k, AES-256-GCM"),
    part(CIPHERTEXT, "core", "ciphertext", "16,384 bytes; the last is shorter"),
    part(TAG, "core", "tag", "16"),
    text(CHUNK_OPEN.x + 2, CHUNK_OPEN.y + 72, "small", "nonce = base xor k: no two chunks can change places,"),
    text(CHUNK_OPEN.x + 2, CHUNK_OPEN.y + 89, "small", "none can be left out, and the short one marks the end"),
  ];
}

function keys(): readonly string[] {
  return [
    arrow([RECIPIENTS[0].x + 40, RECORD_OPEN.y + RECORD_OPEN.height + 8], [RECIPIENTS[0].x + 40, DATA_KEY.y]),
    text(RECIPIENTS[0].x + 50, DATA_KEY.y - 12, "small", "one of the KEKs unwraps"),
    part(DATA_KEY, "ground", "data key", "32 bytes, never a cipher key"),
    arrow([DATA_KEY.x, KEY_Y], [KEY_COMMIT.x + 50, KEY_Y], [KEY_COMMIT.x + 50, RECORD_OPEN.y + RECORD_OPEN.height + 8]),
    text(KEY_COMMIT.x - 24, KEY_Y - 22, "small", "must match"),
    arrow([DATA_KEY.x + DATA_KEY.width, KEY_Y], [BODY_KEYS.x, KEY_Y]),
    text(DATA_KEY.x + DATA_KEY.width + 8, KEY_Y - 8, "small", "with the salt"),
    part(BODY_KEYS, "ground", "chunk key, nonce base, commitment", "for this body alone; the commitment must match"),
    arrow([BODY_KEYS.x + 150, BODY_KEYS.y], [BODY_KEYS.x + 150, CHUNK_OPEN.y + CHUNK_OPEN.height + 8]),
    part(CONTEXT, "given", "context", "given by the caller each time, never stored: tenant, table, path"),
    arrow([DATA_KEY.x + 60, CONTEXT.y], [DATA_KEY.x + 60, DATA_KEY.y + DATA_KEY.height]),
    arrow([BODY_KEYS.x + 150, CONTEXT.y], [BODY_KEYS.x + 150, BODY_KEYS.y + BODY_KEYS.height]),
  ];
}

function legend(): readonly string[] {
  return [
    box({ x: 40, y: 452, width: 16, height: 16 }, "provider"),
    text(64, 464, "holds", "what a rewrap writes anew: recipients, lengths, padding"),
    box({ x: 440, y: 452, width: 16, height: 16 }, "core"),
    text(464, 464, "holds", "what stays to the byte: a rewrap needs no body and no plaintext"),
  ];
}

/** A box with a name above its words. */
function part(area: Area, kind: string, name: string, words: string): string {
  const middle = area.x + area.width / 2;
  return [box(area, kind), text(middle, area.y + 20, "name middle", name), text(middle, area.y + 37, "small middle", words)].join("\n");
}

/** A box with a name beside its words. */
function line(area: Area, kind: string, name: string, words: string): string {
  return [box(area, kind), text(area.x + 14, area.y + 20, "name", name), text(area.x + 122, area.y + 20, "small", words)].join("\n");
}

function at(x: number, y: number, width: number, height = 48): Area {
  return { x, y, width, height };
}

const BYTES_Y = 44;
const HEADER = at(48, BYTES_Y, 378);
const HEAD = at(48, BYTES_Y, 78);
const RECORD = at(132, BYTES_Y, 184);
const PADDING = at(322, BYTES_Y, 104);
const BODY = at(458, BYTES_Y, 494);
const SALT = at(458, BYTES_Y, 58);
const COMMITMENT = at(522, BYTES_Y, 106);
const CHUNKS: readonly [
  readonly [Area, string, string],
  readonly [Area, string, string],
  readonly [Area, string, string],
  readonly [Area, string, string],
] = [
  [at(634, BYTES_Y, 92), "chunk 0", "16,400"],
  [at(732, BYTES_Y, 92), "chunk 1", "16,400"],
  [at(830, BYTES_Y, 40), "…", ""],
  [at(876, BYTES_Y, 76), "last", "shorter"],
];
const RECORD_Y = 148;
const RECORD_OPEN = at(48, RECORD_Y, 536, 100);
const SUITE = at(48, RECORD_Y, 62);
const KEY_COMMIT = at(116, RECORD_Y, 104);
const RECIPIENTS: readonly [Area, Area] = [at(226, RECORD_Y, 358, 32), at(226, RECORD_Y + 38, 358, 32)];
const CHUNK_OPEN = at(632, RECORD_Y, 320, 100);
const CIPHERTEXT = at(632, RECORD_Y, 236);
const TAG = at(874, RECORD_Y, 78);
const DATA_KEY = at(226, 300, 214);
const KEY_Y: number = DATA_KEY.y + 24;
const BODY_KEYS = at(562, 300, 390);
const CONTEXT = at(226, 380, 726);
