/**
 * Access to Google Cloud Storage by a service account: a signed claim is changed for a token, which is
 * kept until shortly before its end.
 *
 * @module
 */
import { fromBase64, fromUtf8, toBase64, utf8 } from "../core/bytes.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { BackupError } from "../core/errors.ts";
import type { Secret } from "../core/secret.ts";
import { readJson, send } from "./send.ts";

/** A service account, as its key file tells it. */
export interface ServiceAccount {
  email: string;
  privateKeyId: string;
  privateKey: CryptoKey | string;
  projectId: string | null;
  /** Where claims are changed for tokens. */
  tokenUrl: string;
}

const GOOGLE_TOKENS = "https://oauth2.googleapis.com/token";
const SCOPE = "https://www.googleapis.com/auth/devstorage.read_write";
/** With a lock: setting it needs the wider scope. */
const FULL_SCOPE = "https://www.googleapis.com/auth/devstorage.full_control";
const CLAIM_SECONDS = 3600;
/** A token is changed for a new one so long before its end. */
const EARLY_MS = 60_000;

/**
 * Reads a key file: JSON, or JSON in base64. A key file may name the place of tokens; ours is Google's, or
 * one at the same host as the endpoint, so that a file from elsewhere cannot send the claim elsewhere.
 *
 * @throws `invalid_config` when it is not a service account's; never quotes it
 */
export function readServiceAccount(
  secret: Secret,
  { endpoint }: { endpoint: string | null },
): ServiceAccount {
  const file = parseKeyFile(secret.reveal());
  const text = (key: string) => typeof file[key] === "string" ? file[key] as string : "";
  if (text("type") !== "service_account") throw wrongKey('its "type" is not service_account');
  for (const key of ["client_email", "private_key"]) {
    if (text(key) === "") throw wrongKey(`it has no ${key}`);
  }
  const tokenUrl = text("token_uri") || GOOGLE_TOKENS;
  const isOwn = endpoint !== null && URL.canParse(tokenUrl) &&
    new URL(tokenUrl).origin === new URL(endpoint).origin;
  if (tokenUrl !== GOOGLE_TOKENS && !isOwn) {
    throw wrongKey("its token_uri is neither Google's nor at the endpoint's host");
  }
  return {
    email: text("client_email"),
    privateKeyId: text("private_key_id"),
    privateKey: text("private_key"),
    projectId: text("project_id") || null,
    tokenUrl,
  };
}

function parseKeyFile(text: string): Record<string, unknown> {
  let json = text.trim();
  try {
    if (!json.startsWith("{")) json = fromUtf8(fromBase64(json));
    const file: unknown = JSON.parse(json);
    if (typeof file === "object" && file !== null) return file as Record<string, unknown>;
  } catch { /* the parser's message would quote the key */ }
  throw wrongKey("it is not JSON, nor JSON in base64");
}

function wrongKey(why: string): BackupError {
  return new BackupError("invalid_config", `Cannot use the service account's key: ${why}`, {
    hint: "Give the whole JSON key file of a service account (BACKUP_STORAGE_SECRET_KEY).",
  });
}

/** Gives the header of requests; one claim is under way at a time. */
export class GcsTokens {
  readonly #account: ServiceAccount;
  readonly #clock: Clock;
  readonly #scope: string;
  #token: { value: string; endsAt: number } | null = null;
  #asking: Promise<string> | null = null;

  constructor(account: ServiceAccount, options: { locks: boolean; clock?: Clock }) {
    this.#account = account;
    this.#clock = options.clock ?? systemClock;
    this.#scope = options.locks ? FULL_SCOPE : SCOPE;
  }

  /** A token that is good for a while. @throws `storage_refused`, `storage_unreachable` */
  async get(): Promise<string> {
    const known = this.#token;
    if (known !== null && known.endsAt - EARLY_MS > this.#clock.now().getTime()) return known.value;
    // Not the caller's to cancel: others wait for the same answer.
    this.#asking ??= this.#ask().finally(() => this.#asking = null);
    return await this.#asking;
  }

  /** Called when the server did not take the token: the next one is new. */
  forget(token: string): void {
    if (this.#token?.value === token) this.#token = null;
  }

  async #ask(): Promise<string> {
    const begun = this.#clock.now().getTime();
    const assertion = await this.#claim(Math.floor(begun / 1000));
    const grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    const verb = "get a token of Google Cloud";
    return await send(this.#account.tokenUrl, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ grant_type: grant, assertion }).toString(),
      verb,
      take: async (answer) => {
        const told = await readJson<TokenAnswer>(answer, verb);
        if (!answer.ok || typeof told.access_token !== "string") {
          throw refusedToken(verb, answer.status, told);
        }
        const endsAt = begun + 1000 * (Number(told.expires_in) || 0);
        this.#token = { value: told.access_token, endsAt };
        return told.access_token;
      },
    });
  }

  async #claim(nowSeconds: number): Promise<string> {
    const { email, privateKeyId, tokenUrl } = this.#account;
    const header = { alg: "RS256", typ: "JWT", kid: privateKeyId };
    const exp = nowSeconds + CLAIM_SECONDS;
    const claims = { iss: email, scope: this.#scope, aud: tokenUrl, iat: nowSeconds, exp };
    const signed = `${base64Url(JSON.stringify(header))}.${base64Url(JSON.stringify(claims))}`;
    const key = await this.#key();
    const signature = await crypto.subtle.sign(
      "RSASSA-PKCS1-v1_5",
      key,
      utf8(signed) as BufferSource,
    );
    return `${signed}.${toBase64Url(new Uint8Array(signature))}`;
  }

  async #key(): Promise<CryptoKey> {
    const { privateKey } = this.#account;
    if (typeof privateKey !== "string") return privateKey;
    const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
    try {
      const der = fromBase64(privateKey.replace(/-----[A-Z ]+-----|\s/g, ""));
      const key = await crypto.subtle.importKey("pkcs8", der as BufferSource, algorithm, false, [
        "sign",
      ]);
      return this.#account.privateKey = key;
    } catch {
      throw wrongKey("its private_key is not a PKCS #8 key of RSA"); // the cause would quote it
    }
  }
}

interface TokenAnswer {
  access_token?: unknown;
  expires_in?: unknown;
  error?: unknown;
  error_description?: unknown;
}

function refusedToken(verb: string, status: number, told: TokenAnswer): BackupError {
  const error = typeof told.error === "string" ? told.error : `HTTP ${status}`;
  if (status === 429 || status >= 500) {
    return new BackupError("storage_unreachable", `Cannot ${verb}: the server fails (${error})`);
  }
  const isTime = /iat|exp|time|clock/i.test(String(told.error_description ?? ""));
  return new BackupError("storage_refused", `Cannot ${verb}: it was refused (${error})`, {
    hint: error === "invalid_grant" && isTime
      ? "Set the clock of this machine: the claim's times are not believed."
      : "The key may be deleted or disabled, or the account gone: make a new key of the account.",
  });
}

function base64Url(text: string): string {
  return toBase64Url(utf8(text));
}

function toBase64Url(bytes: Uint8Array): string {
  return toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
