import assert from "node:assert/strict";
import { concat, toHex } from "../core/bytes.ts";
import { CopyFrames } from "./copy_frames.ts";
import { COPY_FRAMES_SOURCE } from "./copy_frames_wasm.ts";
import { frame } from "./protocol.ts";

Deno.test("the compiled frames were made from the source beside them", async () => {
  const source = await Deno.readFile(new URL("copy_frames.as", import.meta.url));
  const digest = toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", source)));
  assert.equal(digest, COPY_FRAMES_SOURCE, "run scripts/write_webassembly.ts");
});

/** Bytes that tell where they stood. */
function payloadOf(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (at * 7 + length) % 256);
}

Deno.test("payloads of every length up to 600 bytes come together, all at once and one by one", () => {
  const payloads = Array.from({ length: 600 }, (_, length) => payloadOf(length));
  const bytes = concat(payloads.map((payload) => frame("d", payload)));
  const frames = new CopyFrames();
  frames.buffer.set(bytes, 3);
  const all = frames.squeeze(3, 3 + bytes.length);
  assert.deepEqual(all.payload, concat(payloads));
  assert.deepEqual([all.end, all.hasEnded], [3 + bytes.length, false]);
  for (const payload of payloads) {
    frames.buffer.set(frame("d", payload));
    assert.deepEqual(frames.squeeze(0, payload.length + 5).payload, payload);
  }
});

Deno.test("a message goes on where the bytes before it were cut, and its header is not read before it is whole", () => {
  const bytes = concat([frame("d", payloadOf(9)), frame("d", payloadOf(700))]);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const frames = new CopyFrames();
    frames.buffer.set(bytes.subarray(0, cut));
    const first = frames.squeeze(0, cut);
    const before = first.payload.slice();
    assert.ok(cut - first.end < 5 && !first.hasEnded);
    frames.buffer.set(bytes.subarray(first.end));
    const second = frames.squeeze(0, bytes.length - first.end);
    assert.deepEqual(concat([before, second.payload]), concat([payloadOf(9), payloadOf(700)]));
  }
});

Deno.test("it stops before another message, and before a length that no message has", () => {
  const frames = new CopyFrames();
  const row = frame("d", payloadOf(20));
  const lengthOf = (...length: number[]) => Uint8Array.of("d".charCodeAt(0), ...length);
  const others = [
    frame("c"),
    lengthOf(0, 0, 0, 3),
    lengthOf(0x40, 0, 0, 1),
    lengthOf(255, 0, 0, 0),
  ];
  for (const other of others) {
    frames.buffer.set(concat([row, other]));
    const { payload, end, hasEnded } = frames.squeeze(0, row.length + other.length);
    assert.deepEqual(payload, payloadOf(20));
    assert.deepEqual([end, hasEnded], [row.length, true]);
  }
  frames.buffer.set(lengthOf(0, 0, 0, 4));
  assert.deepEqual(frames.squeeze(0, 5), { payload: new Uint8Array(), end: 5, hasEnded: false });
  frames.buffer.set(lengthOf(0x40, 0, 0, 0));
  assert.deepEqual(frames.squeeze(0, 5), { payload: new Uint8Array(), end: 5, hasEnded: false });
  assert.equal(frames.squeeze(0, 100).payload.length, 100, "the largest message goes on");
});
