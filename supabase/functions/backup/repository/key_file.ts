/**
 * Key files: the repository's own secrets, wrapped by a key that a person holds.
 *
 * @module
 */
import { scrypt } from "node:crypto";
import { concat, cryptoBytes, fromBase64, fromUtf8, toBase64, toHex, utf8 } from "../core/bytes.ts";
import { BackupError } from "../core/errors.ts";
import type { KeyInput } from "./key_input.ts";

/** How the wrapping key comes from what a person gave. */
type Derivation =
  | { name: "hkdf-sha-256"; salt: string }
  | { name: "scrypt"; N: number; r: number; p: number; salt: string };

/** A key file as stored, in JSON. */
export interface KeyFile {
  format: 1;
  repositoryId: string;
  keyId: string;
  kind: KeyInput["kind"];
  createdAt: string;
  label: string | null;
  derivation: Derivation;
  /** Base64 of nonce (12 bytes) and AES-256-GCM of the two secrets. */
  wrapped: string;
}

/** The secrets of a repository: one encrypts objects, the other names content. */
export interface RepositorySecrets {
  dataKey: Uint8Array;
  hashKey: Uint8Array;
}

const SCRYPT = { N: 32768, r: 8, p: 1 };
/** More than this is not something we wrote, and would only hold up the reader. */
const SCRYPT_LIMIT_BYTES = 256 * 1024 * 1024;

/** Wraps the secrets for one more key. */
export async function wrapSecrets(
  secrets: RepositorySecrets,
  options: { repositoryId: string; key: KeyInput; createdAt: string; label: string | null },
): Promise<KeyFile> {
  const { repositoryId, key, createdAt, label } = options;
  const salt = toBase64(crypto.getRandomValues(new Uint8Array(32)));
  const derivation: Derivation = key.kind === "key"
    ? { name: "hkdf-sha-256", salt }
    : { name: "scrypt", ...SCRYPT, salt };
  const file: KeyFile = {
    format: 1,
    repositoryId,
    keyId: toHex(crypto.getRandomValues(new Uint8Array(8))),
    kind: key.kind,
    createdAt,
    label,
    derivation,
    wrapped: "",
  };
  const nonce = crypto.getRandomValues(new Uint8Array(12));
  const sealed = await crypto.subtle.encrypt(
    { name: "AES-GCM", iv: nonce, additionalData: cryptoBytes(associatedData(file)) },
    await wrappingKey(key, derivation),
    cryptoBytes(concat([secrets.dataKey, secrets.hashKey])),
  );
  return { ...file, wrapped: toBase64(concat([nonce, new Uint8Array(sealed)])) };
}

/** Opens a key file; null when the key is not the one that made it, or the file was altered. */
export async function unwrapSecrets(
  file: KeyFile,
  key: KeyInput,
): Promise<RepositorySecrets | null> {
  if (file.kind !== key.kind) return null;
  const wrapped = fromBase64(file.wrapped);
  try {
    const opened = await crypto.subtle.decrypt(
      {
        name: "AES-GCM",
        iv: cryptoBytes(wrapped.slice(0, 12)),
        additionalData: cryptoBytes(associatedData(file)),
      },
      await wrappingKey(key, file.derivation),
      cryptoBytes(wrapped.slice(12)),
    );
    const bytes = new Uint8Array(opened);
    return bytes.length === 64 ? { dataKey: bytes.slice(0, 32), hashKey: bytes.slice(32) } : null;
  } catch (error) {
    if (error instanceof DOMException && error.name === "OperationError") return null;
    throw error;
  }
}

/** Bytes of a key file. */
export function writeKeyFile(file: KeyFile): Uint8Array {
  return utf8(JSON.stringify(file, null, 2) + "\n");
}

/** Reads a key file. @throws `object_altered`, `repository_format` */
export function readKeyFile(bytes: Uint8Array, path: string): KeyFile {
  let file: Partial<KeyFile>;
  try {
    file = JSON.parse(fromUtf8(bytes));
  } catch (cause) {
    throw new BackupError("object_altered", `Cannot read ${path}: it is not JSON`, { cause });
  }
  if (file.format !== 1) {
    throw new BackupError("repository_format", `Cannot read ${path}: unknown format`, {
      hint: "Use a newer release of this software.",
    });
  }
  const { derivation } = file;
  const complete = typeof file.wrapped === "string" && typeof file.repositoryId === "string" &&
    typeof file.keyId === "string" && typeof derivation?.salt === "string" &&
    (derivation.name === "hkdf-sha-256" || derivation.name === "scrypt");
  if (!complete) throw new BackupError("object_altered", `Cannot read ${path}: fields are missing`);
  return file as KeyFile;
}

/** Everything a key file says, except what is wrapped: none of it can be changed unnoticed. */
function associatedData(file: KeyFile): Uint8Array {
  const { repositoryId, keyId, kind, createdAt, label, derivation: d } = file;
  const parameters = d.name === "scrypt" ? [d.N, d.r, d.p] : [];
  return utf8(
    JSON.stringify([1, repositoryId, keyId, kind, createdAt, label, d.name, d.salt, ...parameters]),
  );
}

async function wrappingKey(key: KeyInput, derivation: Derivation): Promise<CryptoKey> {
  const salt = fromBase64(derivation.salt);
  if (derivation.name === "scrypt") {
    const bytes = cryptoBytes(await scryptBytes(key.bytes, salt, derivation));
    return await crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"]);
  }
  const base = await crypto.subtle.importKey("raw", cryptoBytes(key.bytes), "HKDF", false, [
    "deriveKey",
  ]);
  return await crypto.subtle.deriveKey(
    {
      name: "HKDF",
      hash: "SHA-256",
      salt: cryptoBytes(salt),
      info: cryptoBytes(utf8("supabase-backup key wrapping 1")),
    },
    base,
    { name: "AES-GCM", length: 256 },
    false,
    ["encrypt", "decrypt"],
  );
}

function scryptBytes(
  passphrase: Uint8Array,
  salt: Uint8Array,
  { N, r, p }: { N: number; r: number; p: number },
): Promise<Uint8Array> {
  if (!(128 * N * r * p <= SCRYPT_LIMIT_BYTES)) {
    throw new BackupError("object_altered", "Cannot use a key file: its scrypt cost is absurd");
  }
  return new Promise((resolve, reject) => {
    const options = { N, r, p, maxmem: 2 * SCRYPT_LIMIT_BYTES };
    scrypt(passphrase, salt, 32, options, (error, key) => {
      if (error) reject(error);
      else resolve(new Uint8Array(key));
    });
  });
}
