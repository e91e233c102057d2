/**
 * A repository whose backups are read otherwise than they were written: what a restore sees of it is what it
 * restores and what it compares with afterwards.
 *
 * @module
 */
import type { Repository } from "../../repository/mod.ts";

/** The same repository; `change` is given all lines of each list that is read. */
export function viewOf(
  repository: Repository,
  change: <T>(lines: readonly T[]) => readonly T[],
): Repository {
  const readLines: Repository["readLines"] = async function* <T>(
    ...args: Parameters<Repository["readLines"]>
  ) {
    yield* change(await Array.fromAsync(repository.readLines<T>(...args)));
  };
  return new Proxy(repository, {
    get(target, key) {
      if (key === "readLines") return readLines;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
