import assert from "node:assert/strict";
import { Socket } from "node:net";
import { Duplex } from "node:stream";
import { ignoreNullWrites } from "./ignore_null_writes.ts";

Deno.test("ignoreNullWrites() lets a socket take an empty write of the driver for nothing", () => {
  ignoreNullWrites();
  ignoreNullWrites();
  for (const socket of [new Socket() as Duplex, new Duplex({ read() {}, write() {} })]) {
    assert.equal(socket.write(null as unknown as string), true);
    assert.throws(() => socket.write(7 as unknown as string), /chunk/, "all else is as it was");
    socket.destroy();
  }
});
