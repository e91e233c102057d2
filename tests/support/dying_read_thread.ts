/**
 * The thread that reads rows, and dies of an error that nobody catches when the first of them were taken.
 *
 * @module
 */
/// <reference lib="deno.worker" />
import "../../scripts/host/read_thread.ts";

self.addEventListener("message", ({ data }: MessageEvent<{ say: string }>) => {
  if (data.say === "taken") throw new Error("this thread was to die while it reads");
});
