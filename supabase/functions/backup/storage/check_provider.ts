/**
 * A check of a provider against the very bucket that is to keep backups: what it promises is tried, with
 * small objects that are removed again.
 *
 * @module
 */
import { utf8 } from "../core/bytes.ts";
import type { Clock } from "../core/clock.ts";
import { toBackupError } from "../core/errors.ts";
import { randomId } from "../core/ids.ts";
import type { Storage } from "./storage.ts";

/** Something that was found. */
export interface ProviderFinding {
  check:
    | "read-after-write"
    | "list-after-write"
    | "write-once"
    | "clock"
    | "lock"
    | "rights"
    | "clean-up";
  /** `note`: worth knowing; `warning`: backups work, with a risk; `error`: they do not, or not as set. */
  severity: "ok" | "note" | "warning" | "error";
  found: string;
  hint?: string;
}

/** What is checked. */
export interface ProviderCheck {
  /** The storage without any lock. */
  storage: Storage;
  /** The same with a lock of about a minute; null where none is set. */
  locked: Storage | null;
  clock: Clock;
  signal?: AbortSignal;
}

/** Objects of this prefix belong to nobody and may be removed. */
export const PROBE_PREFIX = "probe/";

const MINUTE_MS = 60_000;
/** Signed requests are refused when the two clocks differ by more than some minutes. */
const WARN_SKEW_MS = MINUTE_MS;
const FAIL_SKEW_MS = 5 * MINUTE_MS;

/** Tries everything; a check that fails does not stop the others, unless nothing can be written. */
export async function checkProvider(check: ProviderCheck): Promise<ProviderFinding[]> {
  const findings: ProviderFinding[] = [];
  const attempt = async (
    name: ProviderFinding["check"],
    run: () => Promise<Omit<ProviderFinding, "check"> | null>,
  ): Promise<boolean> => {
    check.signal?.throwIfAborted();
    try {
      const finding = await run();
      if (finding !== null) findings.push({ check: name, ...finding });
      return finding?.severity !== "error";
    } catch (thrown) {
      check.signal?.throwIfAborted();
      const { message, hint } = toBackupError(thrown);
      findings.push({ check: name, severity: "error", found: message, ...(hint && { hint }) });
      return false;
    }
  };
  const name = `${PROBE_PREFIX}${randomId(16)}`;
  const content = utf8(`probe ${name}`);
  await attempt("clean-up", () => removeOldProbes(check));
  if (!await attempt("read-after-write", () => readAfterWrite(check, name, content))) {
    await attempt("clean-up", () => remove(check, name));
    return findings;
  }
  await attempt("list-after-write", () => listAfterWrite(check, name));
  await attempt("clock", () => compareClocks(check, name));
  await attempt("write-once", () => tryToOverwrite(check, name, content));
  await attempt("rights", () => reachesMore(check));
  await attempt("rights", () => remove(check, name));
  const { locked } = check;
  if (locked) await attempt("lock", () => tryLock(check, locked));
  return findings;
}

async function removeOldProbes({ storage, signal }: ProviderCheck) {
  const names: string[] = [];
  for await (const { name } of storage.list(PROBE_PREFIX, signal)) names.push(name);
  let left = 0;
  for (const name of names) {
    const outcome = await storage.probe?.destroy(name, { bypassLock: false, ...abort(signal) });
    if (outcome === undefined) await storage.delete(name, signal);
    if (outcome === "refused") left++;
  }
  if (left === 0) return null;
  return note(`${left} probes of earlier checks are still locked or may not be deleted`);
}

async function readAfterWrite(
  { storage, signal }: ProviderCheck,
  name: string,
  content: Uint8Array,
) {
  const { created } = await storage.put(name, content, signal);
  if (!created) return failed("a new object was taken for one that is there");
  const head = await storage.head(name, signal);
  if (head?.sizeBytes !== content.length) return failed("what was just written is not seen");
  if (!isSame(await storage.get(name, { ...abort(signal) }), content)) {
    return failed("other bytes come back than were written");
  }
  const range = await storage.get(name, { from: 2, to: 7, ...abort(signal) });
  if (!isSame(range, content.subarray(2, 7))) {
    return failed("a part of an object comes back as something else");
  }
  return good("what is written is read at once, whole and in part");
}

async function listAfterWrite({ storage, signal }: ProviderCheck, name: string) {
  for await (const object of storage.list(name, signal)) {
    if (object.name === name) return good("what is written is listed at once");
  }
  return failed(
    "what was just written is not listed",
    "Backups are found by listing: use a storage whose lists are consistent.",
  );
}

async function compareClocks({ storage, clock, signal }: ProviderCheck, name: string) {
  const head = await storage.head(name, signal);
  if (head === null || head.modifiedAt === null) return note("the server does not tell its time");
  // Written a moment ago; servers tell whole seconds.
  const skewMs = head.modifiedAt.getTime() - clock.now().getTime();
  const seconds = Math.round(Math.abs(skewMs) / 1000);
  if (Math.abs(skewMs) < WARN_SKEW_MS) return good("the clocks of both sides agree");
  const found = `the server's clock is ${seconds} seconds ${skewMs > 0 ? "ahead" : "behind"}`;
  const hint =
    "Set the clock of this machine: signed requests with a wrong time are refused, and " +
    "locks end at another time than they say.";
  return { severity: Math.abs(skewMs) < FAIL_SKEW_MS ? "warning" : "error", found, hint } as const;
}

async function tryToOverwrite(
  { storage, signal }: ProviderCheck,
  name: string,
  content: Uint8Array,
) {
  const other = utf8(`another ${name}`);
  if ((await storage.put(name, other, signal)).created) {
    return failed("an object that is there was written again");
  }
  const outcome = await storage.probe?.overwrite(name, other, signal) ?? "refused";
  const isKept = isSame(await storage.get(name, { ...abort(signal) }), content);
  if (outcome === "refused" && isKept) return good("the server refuses to overwrite an object");
  return {
    severity: "warning",
    found: "the server does not refuse to overwrite an object: it knows no conditional writes",
    hint: "Let one writer at a time use the bucket, or choose a server with conditional writes.",
  } as const;
}

async function reachesMore({ storage, signal }: ProviderCheck) {
  const more = await storage.probe?.reachesMore(signal) ?? null;
  if (more === null) return null;
  if (!more) return good("the credentials do not reach other buckets");
  return {
    severity: "warning",
    found: "the credentials see more than this bucket",
    hint:
      "Use credentials that are good for this bucket alone: docs/destinations.md has the rights.",
  } as const;
}

/** Removes the probe, and says what that tells of the rights. */
async function remove({ storage, locked, signal }: ProviderCheck, name: string) {
  const outcome = await storage.probe?.destroy(name, { bypassLock: false, ...abort(signal) });
  if (outcome !== "done") await storage.delete(name, signal);
  if (await storage.head(name, signal) !== null) {
    return note(
      `the credentials may not delete: ${name} stays`,
      "Backups work; freeing space does not.",
    );
  }
  if (outcome === undefined) return good("what was written can be removed");
  if (outcome === "refused") {
    return good("the credentials hide objects and cannot destroy their versions");
  }
  const found = "the credentials may delete objects for good";
  if (locked !== null) return note(`${found}, when no lock holds them`);
  return note(
    found,
    "Whoever has them can delete all backups. A lock (objectLock) or a second copy elsewhere helps.",
  );
}

async function tryLock(check: ProviderCheck, locked: Storage) {
  const { clock, signal } = check;
  const name = `${PROBE_PREFIX}${randomId(16)}`;
  await locked.put(name, utf8(`locked ${name}`), signal);
  const until = new Date(clock.now().getTime() + 2 * MINUTE_MS);
  await locked.extendLock?.([name], until, signal);
  const { probe, lock } = locked;
  if (await probe?.destroy(name, { bypassLock: false, ...abort(signal) }) !== "refused") {
    return failed(
      "an object under a lock could be deleted: the lock is not enforced",
      "The bucket has to be made with object lock (S3), object retention (Google) or version-level " +
        "immutability (Azure).",
    );
  }
  const stays = `${name} stays locked until ${until.toISOString()}`;
  if (lock?.mode !== "governance") {
    return good(`a lock is enforced and can be made longer; ${stays}`);
  }
  if (await probe?.destroy(name, { bypassLock: true, ...abort(signal) }) === "refused") {
    return good(`a lock is enforced, and the credentials cannot get round it; ${stays}`);
  }
  return {
    severity: "warning",
    found: "a lock is enforced, and these credentials may get round it",
    hint: "Take the right to bypass governance from them, or use the mode compliance.",
  } as const;
}

function good(found: string) {
  return { severity: "ok", found } as const;
}

function note(found: string, hint?: string) {
  return { severity: "note", found, ...(hint === undefined ? {} : { hint }) } as const;
}

function failed(found: string, hint?: string) {
  return { severity: "error", found, ...(hint === undefined ? {} : { hint }) } as const;
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

function abort(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal ? { signal } : {};
}
