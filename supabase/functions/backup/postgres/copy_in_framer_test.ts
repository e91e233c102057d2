import assert from "node:assert/strict";
import { concat } from "../core/bytes.ts";
import { CopyInFramer } from "./copy_in_framer.ts";
import type { Wire } from "./wire.ts";

/** What the messages of a COPY of these slices hold, without their headers. */
async function contentsOf(slices: readonly Uint8Array[]): Promise<Uint8Array[]> {
  const messages: Uint8Array[] = [];
  const wire = {
    write: (bytes: Uint8Array) => Promise.resolve(void messages.push(bytes.slice())),
  };
  const framer = new CopyInFramer(wire as unknown as Wire);
  for (const slice of slices) await framer.append(slice);
  await framer.finish();
  assert.equal(framer.bytes, slices.reduce((sum, { length }) => sum + length, 0));
  const end = messages.pop()!;
  assert.equal(String.fromCharCode(end[0]!), "c");
  return messages.map((message) => {
    assert.equal(String.fromCharCode(message[0]!), "d");
    const length = new DataView(message.buffer, message.byteOffset).getInt32(1);
    assert.equal(length, message.length - 1);
    return message.subarray(5);
  });
}

Deno.test("CopyInFramer puts slices of any sizes into messages of one size, and the rest into a last one", async () => {
  const most = 128 * 1024;
  for (const sizes of [[0], [62], [4096], [4097], [4000, 200, 9], [1, most], [most, most, 7]]) {
    const slices = sizes.map((size, nth) =>
      Uint8Array.from({ length: size }, (_, at) => (at * 7 + nth) % 251)
    );
    const contents = await contentsOf(slices);
    assert.deepEqual(concat(contents), concat(slices));
    assert.ok(contents.slice(0, -1).every(({ length }) => length === most));
  }
});
