import assert from "node:assert/strict";
import { concat } from "../core/bytes.ts";
import { frame } from "./protocol.ts";
import { type Socket, Wire } from "./wire.ts";

/** A socket that gives prepared bytes in pieces of one size. */
function scripted(bytes: Uint8Array, pieceBytes: number): Socket {
  let at = 0;
  return {
    read(buffer) {
      const piece = bytes.subarray(at, at + Math.min(pieceBytes, buffer.length));
      buffer.set(piece);
      at += piece.length;
      return Promise.resolve(piece.length === 0 ? null : piece.length);
    },
    write: (given) => Promise.resolve(given.length),
    close() {},
  };
}

function joined(...parts: Uint8Array[]): Uint8Array {
  return concat(parts);
}

Deno.test("COPY data comes through whole however the network cuts it", async () => {
  const rows = Array.from({ length: 50 }, (_, index) => new Uint8Array(index * 3).fill(index));
  const bytes = joined(...rows.map((row) => frame("d", row)), frame("c"), frame("Z", rows[1]!));
  for (const pieceBytes of [1, 2, 3, 4, 5, 7, 64, 100_000]) {
    const wire = new Wire(scripted(bytes, pieceBytes));
    const got: number[] = [];
    const total = await wire.readCopyData((slice) => void got.push(...slice));
    assert.deepEqual(Uint8Array.from(got), joined(...rows));
    assert.equal(total, got.length);
    assert.equal((await wire.read()).type, "c");
    assert.equal((await wire.read()).type, "Z");
  }
});

Deno.test("a message larger than the buffer is read whole", async () => {
  const body = Uint8Array.from({ length: 900_000 }, (_, index) => index % 251);
  const wire = new Wire(scripted(joined(frame("N"), frame("D", body), frame("Z")), 70_001));
  assert.equal((await wire.read()).type, "N");
  const got = (await wire.read()).body;
  assert(got.length === body.length && got.every((byte, at) => byte === body[at]));
  assert.equal((await wire.read()).type, "Z");
});

Deno.test("COPY data comes through before and behind messages that are larger than the buffer", async () => {
  const large = new Uint8Array(900_000).fill(7);
  const row = new Uint8Array(300_000).fill(9);
  const bytes = joined(
    ...[frame("d", row), frame("D", large), frame("d", row), frame("d"), frame("d", row)],
    ...[frame("c"), frame("D", large), frame("Z")],
  );
  for (const pieceBytes of [70_001, 1_000_000]) {
    const wire = new Wire(scripted(bytes, pieceBytes));
    const copied = async () => {
      let sum = 0;
      const add = (slice: Uint8Array) => void (sum = slice.reduce((all, byte) => all + byte, sum));
      return [await wire.readCopyData(add), sum];
    };
    assert.deepEqual(await copied(), [row.length, 9 * row.length]);
    assert.equal((await wire.read()).body.length, large.length);
    assert.deepEqual(await copied(), [2 * row.length, 18 * row.length]);
    assert.equal((await wire.read()).type, "c");
    assert.deepEqual(await copied(), [0, 0]);
    assert.equal((await wire.read()).body.length, large.length);
    assert.equal((await wire.read()).type, "Z");
  }
});

Deno.test("COPY data comes through whole where the buffer ends in a header, behind an answer or not", async () => {
  const bufferBytes = 256 * 1024;
  const answer = frame("H", new Uint8Array(1));
  for (const lead of [0, answer.length]) {
    for (let left = 0; left <= 6; left++) {
      const rows = [bufferBytes - 5 - lead - left, 700, 300].map((length, index) =>
        Uint8Array.from({ length }, (_, at) => (at * 7 + index) % 251)
      );
      const data = rows.map((row) => frame("d", row));
      const parts = [...(lead > 0 ? [answer] : []), ...data, frame("c")];
      const wire = new Wire(scripted(joined(...parts), Infinity));
      if (lead > 0) assert.equal((await wire.read()).type, "H");
      const got: Uint8Array[] = [];
      await wire.readCopyData((slice) => void got.push(slice.slice()));
      assert.deepEqual(joined(...got), joined(...rows));
      assert.equal((await wire.read()).type, "c");
    }
  }
});

Deno.test("nothing is read while the receiver of COPY data is busy", async () => {
  const socket = scripted(joined(frame("d", new Uint8Array(100)), frame("c")), 50);
  let reads = 0;
  const wire = new Wire({ ...socket, read: (buffer) => (reads++, socket.read(buffer)) });
  const receiver = Promise.withResolvers<void>();
  const copying = wire.readCopyData(() => receiver.promise);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.equal(reads, 1);
  receiver.resolve();
  assert.equal(await copying, 100);
  assert.ok(reads > 1);
});

Deno.test("reading goes on inside a message after the receiver gave up", async () => {
  const bytes = joined(
    frame("d", new Uint8Array(1000)),
    frame("d", new Uint8Array(10)),
    frame("c"),
  );
  const wire = new Wire(scripted(bytes, 100));
  await assert.rejects(
    wire.readCopyData(() => {
      throw new Error("enough");
    }),
    /enough/,
  );
  await wire.readCopyData(() => {});
  assert.equal((await wire.read()).type, "c");
});

Deno.test("bytes that are no message, and an end in the middle, are errors that stay", async () => {
  const garbage = new Wire(scripted(new TextEncoder().encode("HTTP/1.1"), 100));
  await assert.rejects(garbage.read(), { code: "database_protocol" });
  await assert.rejects(garbage.write(new Uint8Array(1)), { code: "database_protocol" });
  const huge = new Wire(scripted(new Uint8Array([68, 0x7f, 255, 255, 255]), 100));
  await assert.rejects(huge.read(), { code: "database_protocol" });
  const copying = new Wire(scripted(new Uint8Array([100, 0, 0, 0, 3]), 100));
  assert.equal(await copying.readCopyData(() => {}), 0);
  await assert.rejects(copying.read(), { code: "database_protocol" });
  const cutInCopy = new Wire(scripted(frame("d", new Uint8Array(10)).subarray(0, 8), 100));
  await assert.rejects(cutInCopy.readCopyData(() => {}), { code: "database_unreachable" });
  const cut = new Wire(scripted(frame("D", new Uint8Array(10)).subarray(0, 8), 100));
  await assert.rejects(cut.read(), { code: "database_unreachable" });
  await assert.rejects(cut.read(), { code: "database_unreachable" });
});
