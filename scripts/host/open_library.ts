/**
 * Loads libraries of the operating system, where they are.
 *
 * @module
 */

/** Where a library may be; a plain name is looked for where the system keeps its libraries. */
export type LibraryPaths = Partial<Record<typeof Deno.build.os, readonly string[]>>;

/** OpenSSL's cryptography. */
export const OPENSSL: LibraryPaths = {
  linux: ["libcrypto.so.3"],
  darwin: [
    "/opt/homebrew/opt/openssl@3/lib/libcrypto.3.dylib",
    "/usr/local/opt/openssl@3/lib/libcrypto.3.dylib",
  ],
};

/** The functions of the first library that is there; undefined without any that may be used. */
export function openLibrary<S extends Deno.ForeignLibraryInterface>(
  paths: LibraryPaths,
  symbols: S,
): Deno.DynamicLibrary<S>["symbols"] | undefined {
  for (const path of paths[Deno.build.os] ?? []) {
    try {
      return Deno.dlopen(path, symbols).symbols;
    } catch {
      // The runtime tells a missing library, a forbidden and an unfit one by different errors, and
      // all of them mean the same here: the runtime's own code does the work.
    }
  }
  return undefined;
}
