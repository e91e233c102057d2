/**
 * SCRAM-SHA-256 as PostgreSQL uses it (RFC 5802 and 7677), without channel binding.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";

/** Bytes that Web Crypto takes: newer type libraries tell them from those on shared memory. */
type Bytes = ReturnType<typeof Uint8Array.from>;

const encoder = new TextEncoder();

/** One exchange: {@linkcode first}, then {@linkcode final}, then {@linkcode verify}. */
export class ScramExchange {
  readonly #password: string;
  readonly #nonce: string;
  #serverSignature: Uint8Array | undefined;

  constructor(password: string, nonce = btoa(randomText(18))) {
    this.#password = password;
    this.#nonce = nonce;
  }

  /** The client-first message. The user is left empty: the server takes it from the start packet. */
  first(): string {
    return `n,,n=,r=${this.#nonce}`;
  }

  /**
   * The client-final message.
   *
   * @throws {BackupError} `database_protocol` when the server's answer breaks the rules
   */
  async final(serverFirst: string): Promise<string> {
    const parts = /^r=([^,]+),s=([^,]+),i=(\d+)/.exec(serverFirst);
    const [, nonce = "", salt = "", iterations = "0"] = parts ?? [];
    if (!nonce.startsWith(this.#nonce) || nonce === this.#nonce || Number(iterations) < 1) {
      throw refused("its first message is not one of SCRAM");
    }
    const password = encoder.encode(prepare(this.#password));
    const salted = await stretch(password, fromBase64(salt), Number(iterations));
    const clientKey = await hmac(salted, "Client Key");
    const storedKey = new Uint8Array(await crypto.subtle.digest("SHA-256", clientKey));
    const withoutProof = `c=biws,r=${nonce}`;
    const signed = `n=,r=${this.#nonce},${serverFirst},${withoutProof}`;
    const signature = await hmac(storedKey, signed);
    const proof = clientKey.map((byte, at) => byte ^ signature[at]!);
    this.#serverSignature = await hmac(await hmac(salted, "Server Key"), signed);
    return `${withoutProof},p=${toBase64(proof)}`;
  }

  /**
   * Checks that the server knows the password too.
   *
   * @throws {BackupError} `database_protocol` when it does not
   */
  verify(serverFinal: string): void {
    const given = /^v=([^,]+)/.exec(serverFinal)?.[1];
    const expected = this.#serverSignature;
    if (given === undefined || expected === undefined || given !== toBase64(expected)) {
      throw refused("it could not prove that it knows the password");
    }
  }
}

/** SASLprep, as far as Unicode normalisation goes; text that it would refuse is used as it is. */
function prepare(password: string): string {
  // deno-lint-ignore no-control-regex
  if (/^[\x00-\x7f]*$/.test(password)) return password;
  return password
    .replace(/[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g, " ")
    .replace(/[\u00ad\u034f\u1806\u180b-\u180d\u200c\u200d\u2060\ufe00-\ufe0f\ufeff]/g, "")
    .normalize("NFKC");
}

async function stretch(
  password: Bytes,
  salt: Bytes,
  iterations: number,
) {
  const key = await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
  const parameters = { name: "PBKDF2", hash: "SHA-256", salt, iterations };
  return new Uint8Array(await crypto.subtle.deriveBits(parameters, key, 256));
}

async function hmac(key: Bytes, text: string): Promise<Bytes> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const imported = await crypto.subtle.importKey("raw", key, algorithm, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, encoder.encode(text)));
}

function randomText(length: number): string {
  return String.fromCharCode(...crypto.getRandomValues(new Uint8Array(length)));
}

function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

function fromBase64(text: string): Bytes {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch (cause) {
    throw refused("its salt is not base64", cause);
  }
}

function refused(why: string, cause?: unknown): BackupError {
  return new BackupError("database_protocol", `Cannot authenticate the server: ${why}`, {
    hint: "Check that the URL leads to the right server; someone may be answering in its place.",
    cause,
  });
}
