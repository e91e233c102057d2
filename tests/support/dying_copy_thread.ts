/**
 * The thread that copies rows, and dies of an error that nobody catches when it has copied the first megabyte.
 *
 * @module
 */
/// <reference lib="deno.worker" />
import "../../scripts/host/copy_thread.ts";

const tell = self.postMessage.bind(self);
self.postMessage = (message: { say: string }) => {
  tell(message);
  if (message.say === "bytes") queueMicrotask(die);
};

function die(): never {
  throw new Error("this thread was to die while it copies");
}
