/**
 * The repository's cryptography with the keys in it: naming content and sealing bytes. In a hosted function
 * only Web Crypto opens what was sealed, because that runtime's node:crypto does not check GCM tags.
 *
 * @module
 */
import { concat, cryptoBytes, equalConstantTime, fromHex, toHex, utf8 } from "../core/bytes.ts";
import type { RepositorySecrets } from "./key_file.ts";
import type { AesGcm, HmacSha256, ObjectKind } from "./types.ts";

/** Length of what authenticates an object. */
export const TAG_BYTES = 16;

/** Names and seals. */
export interface Cipher {
  readonly encrypted: boolean;
  /** Whether {@linkcode Cipher.open} changes the memory of what was sealed. */
  readonly opensInPlace: boolean;
  /** Names the data key in object headers: 16 hexadecimal digits. */
  readonly dataKeyId: string;
  /** Keyed hash of content: 64 hexadecimal digits. */
  nameOf(kind: ObjectKind, content: Uint8Array): Promise<string>;
  /**
   * The associated data, the payload (encrypted or not) and the tag over both.
   * @param room memory that they may be put into; the payload may be in its place there
   */
  seal(
    payload: Uint8Array,
    nonce: Uint8Array,
    associated: Uint8Array,
    room?: Uint8Array,
  ): Promise<Uint8Array>;
  /**
   * Undoes {@linkcode Cipher.seal} for payload and tag; null when the tag does not fit.
   */
  open(sealed: Uint8Array, nonce: Uint8Array, associated: Uint8Array): Promise<Uint8Array | null>;
}

/** What both ciphers are made with. */
export interface CipherOptions {
  repositoryId: string;
  /** Another one than Web Crypto's, for names. */
  hmac?: HmacSha256 | undefined;
  /** Another one than Web Crypto's. */
  aesGcm?: AesGcm | undefined;
}

/** AES-256-GCM with the data key; names by the hash key. */
export async function encryptingCipher(
  secrets: RepositorySecrets,
  { repositoryId, hmac, aesGcm }: CipherOptions,
): Promise<Cipher> {
  const salt = fromHex(repositoryId);
  const native = aesGcm?.(secrets.dataKey);
  const key = await crypto.subtle.importKey("raw", cryptoBytes(secrets.dataKey), "AES-GCM", false, [
    "encrypt",
    "decrypt",
  ]);
  return {
    encrypted: true,
    opensInPlace: native !== undefined,
    dataKeyId: toHex((await derive(secrets.dataKey, salt, "data key id")).slice(0, 8)),
    nameOf: await namer(secrets.hashKey, salt, hmac),
    async seal(payload, nonce, associated, room) {
      if (native !== undefined) return native.seal(payload, nonce, associated, room);
      const options = gcm(nonce, associated);
      const sealed = await crypto.subtle.encrypt(options, key, cryptoBytes(payload));
      return concat([associated, new Uint8Array(sealed)]);
    },
    async open(sealed, nonce, associated) {
      if (native !== undefined) return native.open(sealed, nonce, associated);
      try {
        const options = gcm(nonce, associated);
        return new Uint8Array(await crypto.subtle.decrypt(options, key, cryptoBytes(sealed)));
      } catch (error) {
        if (error instanceof DOMException && error.name === "OperationError") return null;
        throw error;
      }
    },
  };
}

function gcm(nonce: Uint8Array, associated: Uint8Array): AesGcmParams {
  return { name: "AES-GCM", iv: cryptoBytes(nonce), additionalData: cryptoBytes(associated) };
}

/** No encryption: names and tags by a public salt, which find damage but stop no attacker. */
export async function plainCipher(
  publicSalt: Uint8Array,
  { repositoryId, hmac }: CipherOptions,
): Promise<Cipher> {
  const salt = fromHex(repositoryId);
  const key = await hmacKey(await derive(publicSalt, salt, "tag"));
  const tag = async (payload: Uint8Array, nonce: Uint8Array, associated: Uint8Array) => {
    const digest = await crypto.subtle.digest("SHA-256", cryptoBytes(payload));
    const all = concat([nonce, associated, new Uint8Array(digest)]);
    return new Uint8Array(await crypto.subtle.sign("HMAC", key, cryptoBytes(all))).slice(
      0,
      TAG_BYTES,
    );
  };
  return {
    encrypted: false,
    opensInPlace: false,
    dataKeyId: "0".repeat(16),
    nameOf: await namer(publicSalt, salt, hmac),
    async seal(payload, nonce, associated) {
      return concat([associated, payload, await tag(payload, nonce, associated)]);
    },
    async open(sealed, nonce, associated) {
      const payload = sealed.subarray(0, sealed.length - TAG_BYTES);
      const found = sealed.subarray(sealed.length - TAG_BYTES);
      return equalConstantTime(found, await tag(payload, nonce, associated)) ? payload : null;
    },
  };
}

/** One naming key a kind, so that equal content of two kinds has two names. */
async function namer(
  secret: Uint8Array,
  salt: Uint8Array,
  hmac: HmacSha256 = webCryptoHmac,
): Promise<Cipher["nameOf"]> {
  const macs = new Map<ObjectKind, ReturnType<HmacSha256>>();
  for (const kind of ["chunk", "manifest"] as const) {
    macs.set(kind, hmac(await derive(secret, salt, `name of ${kind}`)));
  }
  return async (kind, content) => {
    const mac = macs.get(kind);
    if (!mac) throw new TypeError(`Cannot name a ${kind} by its content: it has a name of its own`);
    return toHex(await mac(content));
  };
}

function webCryptoHmac(bytes: Uint8Array): ReturnType<HmacSha256> {
  const key = hmacKey(bytes);
  return async (content) =>
    new Uint8Array(await crypto.subtle.sign("HMAC", await key, cryptoBytes(content)));
}

async function hmacKey(bytes: Uint8Array): Promise<CryptoKey> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  return await crypto.subtle.importKey("raw", cryptoBytes(bytes), algorithm, false, ["sign"]);
}

async function derive(secret: Uint8Array, salt: Uint8Array, purpose: string): Promise<Uint8Array> {
  const base = await crypto.subtle.importKey("raw", cryptoBytes(secret), "HKDF", false, [
    "deriveBits",
  ]);
  const info = utf8(`supabase-backup ${purpose} 1`);
  const bits = await crypto.subtle.deriveBits(
    { name: "HKDF", hash: "SHA-256", salt: cryptoBytes(salt), info: cryptoBytes(info) },
    base,
    256,
  );
  return new Uint8Array(bits);
}
